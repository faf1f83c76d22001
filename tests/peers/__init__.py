"""Real peers as the tests use them: SIPp, baresip, a whole mediaha site, each as processes of their own."""
