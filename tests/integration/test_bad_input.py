"""What people should not upload, through the whole service: each ends in a named state, the rest goes on."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.samples import files as sample_files
from app.stores.documents import STATES, UNREADABLE
from tests.support.documents import book, note
from tests.support.pdf import make_pdf
from tests.support.recount import Stack, own_stack
from tests.support.running import QUICK, Service, serving, wait_until

MEGABYTE = 1024 * 1024
TOO_MANY_CHARACTERS = 300 * 1000 * 1000


@pytest.fixture(scope="module")
def stack(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with own_stack(postgres_dsn, tmp_path_factory.mktemp("bad")) as stack:
        yield stack


@pytest.fixture(scope="module")
def service(stack: Stack, model_dir: Path) -> Iterator[Service]:
    """With a raised limit, and one worker of its own."""
    variables = stack.variables(model_dir, **QUICK, KA_SERVER__MAX_UPLOAD_BYTES=str(400 * MEGABYTE))
    with serving(stack.folder / "service", variables, options=["--workers", "1"]) as service:
        yield service


def sample(ending: str) -> bytes:
    return next(file for file in sample_files() if file.name.endswith(ending)).read_bytes()


def bomb(folder: Path) -> bytes:
    """A DOCX whose text unpacks to a gigabyte."""
    path = folder / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.document.main+xml"/></Types>',
        )
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(1024):
                part.write(b" " * MEGABYTE)
    return path.read_bytes()


def form(name: bytes, content: bytes) -> dict[str, Any]:
    """An upload whose name is sent as it is, which clients of good manners would not do."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name
    body += b'"\r\n\r\n' + content + b"\r\n--x--\r\n"
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


def test_no_bad_file_stops_the_queue_and_each_ends_in_a_state_with_advice(
    service: Service, stack: Stack, tmp_path: Path
) -> None:
    base = service.make("bad-files")
    pdf, docx = sample(".pdf"), sample(".docx")
    bad: dict[str, tuple[bytes, set[Any]]] = {
        "empty.pdf": (b"", {"empty"}),
        "spaces.txt": (b" \n" * 500, {"empty"}),
        "start.pdf": (pdf[:300], {"damaged", "unsupported"}),
        "half.pdf": (pdf[: len(pdf) // 2], {"damaged", "ready", "empty"}),
        "half.docx": (docx[: len(docx) // 2], {"damaged"}),
        "bomb.docx": (bomb(tmp_path), {"damaged", "too_large", "empty"}),
        "locked.pdf": (make_pdf(["secret"], locked=True), {"password_needed", "damaged"}),
        "picture.pdf": (make_pdf([None]), {"image_only"}),
        "noise.bin": (bytes(range(256)) * 40, {"unsupported"}),
        "nul.txt": (b"words with \x00 zeros \x00 in them, and more words after that\n", set(STATES)),
        "halves.txt": ("half a pair: \ud800 and words".encode("utf-16-le", "surrogatepass"), set(STATES)),
        "really a pdf.docx": (make_pdf(["disguised words"]), {"ready"}),
        "really a docx.pdf": (docx, {"ready"}),
        "really a text": (note("endless"), {"ready"}),
    }
    for name, (content, _) in bad.items():
        service.upload(name, content, base)
    last = service.upload("good.txt", note("goodword"), base)["document"]["id"]
    documents = {one["name"]: one for one in service.settled(base, 120)}
    for name, (_, expected) in bad.items():
        assert documents[name]["state"] in expected, (name, documents[name])
    for one in documents.values():
        if one["state"] in UNREADABLE:
            assert one["state"] != "failed", one
            assert len(one["message"]) > 40, one
    assert documents["good.txt"]["state"] == "ready"
    assert {one["document_id"] for one in service.search("goodword", base)["passages"][:1]} == {last}
    assert "disguised" in service.search("disguised words", base)["passages"][0]["text"]
    wait_until(lambda: stack.idle() and stack.swept(), 30, "the rest of the jobs")
    assert stack.faults() == {}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"../../etc/passwd", "etc/passwd"),
        (b"/etc/shadow", "etc/shadow"),
        (b"..", "unnamed"),
        ("😀 smile.txt".encode(), "😀 smile.txt"),
        (b"x" * 300 + b".txt", "x" * 100 + "…" + "x" * 95 + ".txt"),
        ("\u202egnp.exe.txt".encode(), "gnp.exe.txt"),
        (b"nul\x00l.txt", "null.txt"),
        (b"line\tbreak.txt", "linebreak.txt"),
        ("Größe \u0647\u0644\u0648.txt".encode(), "Größe \u0647\u0644\u0648.txt"),
    ],
)
def test_names_are_data_and_never_ways_to_files(
    service: Service, stack: Stack, sent: bytes, stored: str
) -> None:
    answer = service.request(
        "POST", "/api/v1/knowledge-bases/default/documents", **form(sent, note("named") + sent.hex().encode())
    )
    assert answer.status_code in {200, 202}, answer.text
    document = answer.json()["document"]
    assert len(document["name"]) <= 200
    assert document["name"] == stored
    content = service.request("GET", f"/api/v1/documents/{document['id']}/content")
    assert content.content.endswith(sent.hex().encode())
    assert ".." not in content.headers["content-disposition"]
    assert all(file.resolve().is_relative_to(stack.objects.resolve()) for file in stack.objects.rglob("*"))


def test_a_name_that_is_no_text_is_refused_or_stored_readably(service: Service) -> None:
    answer = service.request(
        "POST", "/api/v1/knowledge-bases/default/documents", **form(b"\xff\xfe.txt", note("strangename"))
    )
    assert answer.status_code in {200, 202, 400, 422}, answer.text
    assert service.settled()


def huge() -> Iterator[bytes]:
    """A form with 300 MB of text."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="huge.txt"\r\n\r\n'
    line = b"All work and no play makes a dull document.\n" * 25_000
    for _ in range(TOO_MANY_CHARACTERS // len(line) + 1):
        yield line
    yield b"\r\n--x--\r\n"


def peak_memory(pid: int) -> int:
    """Largest resident size of a process so far, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_a_text_of_300_megabytes_is_stored_without_being_held_in_memory_and_told_to_be_too_large(
    service: Service, stack: Stack
) -> None:
    base = service.make("huge")
    before = peak_memory(service.main.pid)
    answer = service.request(
        "POST",
        f"/api/v1/knowledge-bases/{base}/documents",
        content=huge(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 202, answer.text
    assert peak_memory(service.main.pid) - before < 60 * MEGABYTE
    service.upload("after.txt", note("afterword"), base)
    documents = {one["name"]: one for one in service.settled(base, 90)}
    assert documents["huge.txt"]["state"] == "too_large"
    assert "characters" in documents["huge.txt"]["message"] or "memory" in documents["huge.txt"]["message"]
    assert documents["after.txt"]["state"] == "ready"
    service.request("DELETE", f"/api/v1/documents/{documents['huge.txt']['id']}").raise_for_status()
    wait_until(lambda: stack.idle() and stack.swept(), 30, "its removal")
    assert documents["huge.txt"]["sha256"] not in stack.stored()


def test_the_same_file_twice_at_the_same_moment_is_one_document(service: Service, stack: Stack) -> None:
    base = service.make("twice")
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(service.upload("same.txt", note("sameword"), base)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one["document"]["id"] for one in answers}) == 1
    assert sorted(one["duplicate"] for one in answers) == [False] + [True] * 5
    assert [one["state"] for one in service.settled(base)] == ["ready"]
    renamed = service.upload("another name.txt", note("sameword"), base)
    assert renamed["duplicate"]
    assert renamed["document"]["id"] == answers[0]["document"]["id"]
    elsewhere = service.upload("same.txt", note("sameword"), service.make("twice-elsewhere"))
    assert not elsewhere["duplicate"]
    service.settled("twice-elsewhere")
    wait_until(lambda: stack.idle() and stack.swept(), 30, "the rest of the jobs")
    assert stack.faults() == {}


def test_the_first_version_uploaded_again_after_the_second_answers_again(
    service: Service, stack: Stack
) -> None:
    base = service.make("versions")

    def answering() -> set[str]:
        words = {"olderword", "newerword"}
        texts = [one["text"] for word in words for one in service.search(word, base)["passages"]]
        return {word for word in words if any(word in text for text in texts)}

    for content, word in [("olderword", "olderword"), ("newerword", "newerword"), ("olderword", "olderword")]:
        service.upload("changing.txt", note(content), base)
        documents = service.settled(base)
        assert [one["state"] for one in documents] == ["ready"]
        assert answering() == {word}
    # and without waiting in between: the last one said wins
    for word in ("newerword", "olderword", "newerword", "olderword"):
        service.upload("changing.txt", note(word), base)
    assert [one["state"] for one in service.settled(base)] == ["ready"]
    assert answering() == {"olderword"}
    wait_until(lambda: stack.idle() and stack.swept(), 30, "the rest of the jobs")
    assert stack.faults() == {}


def test_an_upload_broken_off_in_the_middle_leaves_nothing(service: Service, stack: Stack) -> None:
    base = service.make("broken-off")
    stored = stack.stored()

    def half() -> Iterator[bytes]:
        for number, piece in enumerate(huge()):
            if number == 5:
                raise ConnectionAbortedError
            yield piece

    with pytest.raises((ConnectionAbortedError, httpx.HTTPError)):
        service.request(
            "POST",
            f"/api/v1/knowledge-bases/{base}/documents",
            content=half(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    assert service.answers()
    assert service.documents(base) == []
    assert stack.stored() == stored
    assert stack.rows("SELECT 1 FROM removed_objects") == []


def test_a_document_deleted_while_it_is_read_is_gone_everywhere(service: Service, stack: Stack) -> None:
    base = service.make("deleted")
    for number in range(4):
        document = service.upload(f"{number}.pdf", book(f"deleted{number}", pages=40), base)["document"]
        if number:
            wait_until(
                lambda: service.get(f"/documents/{document['id']}")["state"] != "queued",  # noqa: B023
                30,
                "its turn",
            )
        service.request("DELETE", f"/api/v1/documents/{document['id']}").raise_for_status()
    wait_until(lambda: stack.idle() and stack.swept(), 30, "the rest of the jobs")
    assert service.documents(base) == []
    assert service.search("deleted1", base)["passages"] == []
    assert stack.faults() == {}


def test_a_knowledge_base_deleted_with_documents_being_read_is_gone_everywhere(
    service: Service, stack: Stack
) -> None:
    base = service.make("whole-base")
    service.upload("ready.txt", note("wholeword"), base)
    service.settled(base)
    service.upload("being read.pdf", book("wholebook", pages=40), base)
    service.request("DELETE", f"/api/v1/knowledge-bases/{base}").raise_for_status()
    wait_until(lambda: stack.idle() and stack.swept(), 30, "the rest of the jobs")
    assert service.request("GET", f"/api/v1/knowledge-bases/{base}").status_code == 404
    assert stack.faults() == {}
