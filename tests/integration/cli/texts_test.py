"""What is printed of the tree of commands: completions of three shells, and the manual page."""

import re
import subprocess
import sys

from cli_driver import WAIT_S, main, same


def commands(bench, *path):
    """Every command that --help shows, as words."""
    text = bench.run(*path, "--help").stdout
    names = re.findall(r"^  (\w+)\s", text.split("Subcommands:\n")[1], re.M) if "Subcommands:\n" in text else []
    return [path, *[found for name in names for found in commands(bench, *path, name)]]


def options(bench, command):
    return re.findall(r"^  (?:(-\w),)?(--[\w-]+)", bench.run(*command, "--help").stdout, re.M)


def everything(bench):
    found = {command: {name for pair in options(bench, command) for name in pair if name} for command in commands(bench)}
    assert len(found) > 15 and "--metrics" in found[("serve",)] and "--qr" in found[("clients", "add")], found
    return found


def shell(program, script):
    done = subprocess.run(program, input=script, capture_output=True, text=True, timeout=WAIT_S)
    same((done.returncode, done.stderr), (0, ""))
    return done.stdout


def bash(bench, *words):
    """What bash offers for the last of the words."""
    script = bench.run("completion", "bash").stdout
    line = " ".join(f"'{word}'" for word in ("smartvpn", *words))
    script += f"\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _smartvpn\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    return shell(["bash"], script).split()


def test_bash_completes_commands_options_files_and_choices(bench):
    same(bash(bench, "cl"), ["clients"])
    same(bash(bench, "clients", "ro"), ["rotate"])
    same(bash(bench, "clients", "add", "bob", "--wireguard-pre"), ["--wireguard-preshared-key-file"])
    same(bash(bench, "completion", "")[:3], ["bash", "zsh", "fish"])
    name = bench.file("wanted.json", "{}")
    same(bash(bench, "serve", "--config", name[:-5]), [name])
    same(bash(bench, "clients", "add", "--description", "cl"), [])
    for command, names in everything(bench).items():
        same((command, names - set(bash(bench, *command, "-"))), (command, set()))


def test_zsh_and_fish_take_their_scripts_and_know_everything(bench):
    for name in ("zsh", "fish"):
        script = bench.run("completion", name).stdout
        shell([name, "-n"], script)
        for command, names in everything(bench).items():
            assert all(word in script for word in command), (name, command)
            for option in names:
                wanted = option if name == "zsh" else f"-l {option[2:]}" if option[:2] == "--" else f"-s {option[1:]}"
                assert wanted in script, (name, command, option)


def test_fish_completes(bench):
    script = bench.run("completion", "fish").stdout
    for line, wanted in (("smartvpn cl", "clients"), ("smartvpn clients ro", "rotate"), ("smartvpn completion z", "zsh"),
                         ("smartvpn clients add --wireguard-pre", "--wireguard-preshared-key-file")):
        offered = shell(["fish"], f"{script}\ncomplete -C '{line}'\n").splitlines()
        same([text.split("\t")[0] for text in offered], [wanted])


def test_a_shell_that_is_not_known_is_wrong_usage(bench):
    for arguments in ([], ["tcsh"], ["bash", "zsh"]):
        same((arguments, bench.run("completion", *arguments).returncode), (arguments, 2))


def test_the_manual_page_has_every_command_and_option_and_roff_takes_it(bench):
    page = bench.run("manual").stdout
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c"], input=page, capture_output=True, text=True, timeout=WAIT_S)
    same((done.returncode, done.stderr), (0, ""))
    for command, names in everything(bench).items():
        if not command or command == ("clients",):
            continue
        title = re.escape('.SS "smartvpn ' + " ".join(command)) + r'[ "].*?(?=^\.S|\Z)'
        section = re.search(title, page.replace("\\-", "-"), re.M | re.S)
        assert section, command
        for name in names - {"-h", "--help"}:
            assert f"\\fB{name}\\fR" in section[0], (command, name)
    assert "manual" not in bench.run("--help").stdout


if __name__ == "__main__":
    main("cli.texts", sys.modules[__name__])
