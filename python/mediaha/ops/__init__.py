"""What keeps a host of the site running and lets a person look at it: logs, processes, the control socket."""
