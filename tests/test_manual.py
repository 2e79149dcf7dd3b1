"""Completion and manual pages, from the same tables as the commands; and what all commands have in common."""

import shutil
import subprocess
import sys

import pytest

from nanobragg.cli.nanobragg.command import main as nanobragg
from nanobragg.cli.nanobragg.rules import RULES
from nanobragg.cli.tools.manual import MAIN, TOOLS, completion, main, page, words_of
from tests.support import working_in


def test_every_flag_is_completed():
    words = set(words_of(MAIN))
    assert all(rule.name in words for rule in RULES) and {"--fix", "--structure", "--output"} <= words
    assert {"run", "verify", "--workers", "--part"} <= set(words_of("nb-batch")) and "shard" not in words_of("nb-batch")
    assert {"--html", "--version"} <= set(words_of("nb-view")) and "diff" in words_of("nb-trace")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_takes_it():
    asked = (
        "\n".join(completion())
        + '\ncompgen -W "$(complete -p nanoBragg | sed "s/.*-W \'//; s/\' nanoBragg//")" -- -detector_a'
    )
    found = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert found.returncode == 0 and not found.stderr and "-detector_absorption" in found.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_command(shell, capsys):
    assert main([shell]) == 0
    out = capsys.readouterr().out
    assert out.count("complete -o default") == len(TOOLS) + 1 and ("bashcompinit" in out) == (shell == "zsh")


def test_manual_pages(tmp_path, capsys):
    assert main(["man", str(tmp_path)]) == 0
    pages = sorted(path.name for path in (tmp_path / "man1").iterdir())
    assert pages == sorted(f"{tool}.1" for tool in (MAIN, *TOOLS))
    assert r"\-distance" in page(MAIN) and ".SH NAME" in page("nb-view")
    if shutil.which("man") and shutil.which("mandoc"):
        for path in (tmp_path / "man1").iterdir():
            assert not subprocess.run(["mandoc", "-T", "lint", "-W", "error", path], capture_output=True).stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_all_commands_say_version_examples_and_errors(tool):
    module = TOOLS[tool]

    def run(*words):
        return subprocess.run([sys.executable, "-m", f"nanobragg.cli.{module}", *words], capture_output=True, text=True)

    assert run("--version").stdout.startswith(f"{tool} ")
    shown = run("--help")
    assert shown.returncode == 0 and "usage" in shown.stdout and f"{tool} " in shown.stdout.partition("options:")[2]
    wrong = run("--no-such-option")
    assert wrong.returncode == 2 and not wrong.stdout and "Traceback" not in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1 and wrong.stderr.startswith(f"{tool}: ")


def test_words_that_are_unknown(tmp_path, capsys):
    line = "-cell 50 60 70 90 90 90 -default_F 5 -detpixels 8 -nonoise --backend=cref"
    with working_in(tmp_path):
        assert nanobragg([*line.split(), "--bakend", "fast"]) == 1
        assert "--bakend: no option is called that (did you mean --backend?)" in capsys.readouterr().err
        assert nanobragg([*line.split(), "-lamda", "2"]) == 0
        assert "no rule of the original matches it (did you mean -lambda?)" in capsys.readouterr().err
        assert nanobragg([*line.split(), "--lambda", "2"]) == 0  # the original's: a name anywhere in a word
        assert "did you mean" not in capsys.readouterr().err
        assert nanobragg([*line.split(), "--fix=all"]) == 0
        assert "computed right, not as the original does: all" in capsys.readouterr().err
        for word in ("-h", "-help", "--help"):
            assert nanobragg([word]) == 0 and "usage" in capsys.readouterr().out
        for word in ("-version", "--version"):
            assert nanobragg([word]) == 0 and capsys.readouterr().out.startswith("nanoBragg ")
        assert nanobragg([*line.split(), "--explain=yes"]) == 1
