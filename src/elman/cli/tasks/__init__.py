"""Commands of each task: one module per task, found by `elman.cli.task_commands.task_commands`."""
