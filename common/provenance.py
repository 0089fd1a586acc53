"""Where a result comes from: the command, the time, the commit and the machine."""

import platform
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from common.program import ROOT


def command_line() -> str:
    """The command of this process as a shell takes it, the script without its folder."""
    script, *arguments = sys.argv
    return shlex.join(["python", Path(script).name, *arguments])


def commit() -> str:
    """The commit of this program, with "-changed" if files differ from it; "" if it is unknown."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=-changed", "--exclude=*"],
            cwd=ROOT, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def provenance() -> dict[str, str]:
    """What run.json says of a run beside its settings."""
    return {
        "command": command_line(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit(),
        "host": f"{platform.node()}, {platform.system()} {platform.machine()}",
    }
