from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.cli import guide


def test_the_topics_are_listed_by_kind_with_their_titles(lrctl: Lrctl) -> None:
    done = lrctl("guide")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line for line in lines if line in guide.KINDS] == list(guide.KINDS)
    topics = dict(line.strip().split(maxsplit=1) for line in lines if line.startswith("  "))
    assert topics["lookahead"] == "Lookahead search"
    assert [*topics] == [*guide.pages()]


def test_every_page_has_a_topic_of_its_own() -> None:
    files = [page for kind in guide.KINDS for page in (guide.GUIDE / kind).glob("*.md")]
    assert len(files) == len(guide.pages()) > 30


def test_a_page_is_plain_markdown_where_there_is_no_terminal(lrctl: Lrctl) -> None:
    done = lrctl("guide", "semi-local")
    assert (done.code, done.err) == (0, "")
    assert done.out == (guide.GUIDE / "explanation" / "semi-local.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("topic", [None, "faq"])
def test_the_path_can_be_asked_for(topic: str | None, lrctl: Lrctl) -> None:
    done = lrctl("guide", *([topic] if topic else []), "--path")
    assert done.code == 0
    assert Path(done.out.strip()) == (guide.pages()[topic] if topic else guide.GUIDE)


def test_an_unknown_topic_is_one_sentence(lrctl: Lrctl) -> None:
    done = lrctl("guide", "lookahed")
    assert (done.code, done.out) == (2, "")
    assert done.error == "error: lrctl guide: unknown topic 'lookahed'; did you mean 'lookahead'?"


def test_a_terminal_gets_the_page_laid_out_by_its_pager(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paged: list[str] = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("pydoc.pager", paged.append)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("LESS", raising=False)
    guide.show("# A title\n\nSome `code` and **more**.\n\n<!-- a remark -->\n")
    (text,) = paged
    assert "A title" in text
    assert [mark for mark in ("#", "`", "**", "<!--") if mark in text] == []
    assert os.environ["LESS"] == "-FRX"
    assert capfd.readouterr().err == ""


def test_topics_are_completed(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LRCTL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "lrctl guide measured-l")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert lrctl().out.split() == ["measured-lean-search"]


def test_the_list_and_a_page_import_nothing_heavy() -> None:
    program = (
        "import atexit, sys; from lrctl.cli import main; sys.argv = ['lrctl', 'guide', 'faq']\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"rich.markdown", "torch", "numpy", "markdown_it"} & {*done.stderr.split()}


def test_a_word_that_is_no_topic_is_looked_for_in_all_pages(lrctl: Lrctl) -> None:
    done = lrctl("guide", "DDP")
    assert (done.code, done.out.splitlines()[0]) == (0, "No page is called DDP; these speak of it:")
    assert 1 <= len(done.out.splitlines()) - 1 <= guide.MOST
    assert all("ddp" in guide.pages()[line.split()[0]].read_text().lower() for line in done.out.splitlines()[1:])
    assert lrctl("guide", "xyzzy").code == 2
    assert lrctl("guide", "DDP", "--path").code == 2
