"""Reading a command line without a shell: lexer, planner, operand table, second opinion. Pure; see ``command.py``."""
