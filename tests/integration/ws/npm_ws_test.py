"""npm's ws against our upgrade and framing, in both roles. Installs exactly the locked version into the
build folder, then hands over to npm_ws_test.mjs."""

import os
import shutil
import subprocess
import sys

from ws_driver import parse_arguments, skip

HERE = os.path.dirname(os.path.abspath(__file__))


def install(work):
    done = os.path.join(work, "node_modules", "ws", "package.json")
    for name in ("package.json", "package-lock.json", "npm_ws_test.mjs"):
        shutil.copyfile(os.path.join(HERE, name), os.path.join(work, name))
    if os.path.exists(done):
        return
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        ran = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180)
    except subprocess.TimeoutExpired:
        skip("npm ci took too long")
    if ran.returncode != 0 or not os.path.exists(done):
        skip("npm ci failed: " + ran.stdout.decode(errors="replace")[-400:])


def main():
    options = parse_arguments()
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node or npm is not installed")
    install(options.work)
    command = ["node", "npm_ws_test.mjs", os.path.abspath(options.echo)]
    if options.results:
        command.append(os.path.abspath(options.results))
    sys.exit(subprocess.run(command, cwd=options.work).returncode)


if __name__ == "__main__":
    main()
