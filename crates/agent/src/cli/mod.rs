//! The command line: arguments, what each subcommand does, exit codes.
