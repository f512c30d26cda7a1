"""Start one command, wait for it, print its wall seconds and peak memory as JSON; exit as it did."""

import json
import os
import shutil
import sys
import time

command = sys.argv[1:]
program = shutil.which(command[0])
if program is None:
    sys.exit(f"no program {command[0]!r}")
started = time.perf_counter()
# What the command prints is not wanted; its errors go to our standard error.
child = os.posix_spawn(
    program, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - started
unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
print(
    json.dumps(
        {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss * unit / 1e6}
    )
)
sys.exit(os.waitstatus_to_exitcode(status))
