"""The policy room: reads both policy files and compiles them into one frozen value; pure."""
