"""Real processes under real faults: each story breaks something under calls and looks at what their parties notice."""
