"""`headgate.gateway.static_ui`: MLflow's files, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.errors import ApiError
from headgate.gateway import static_ui
from headgate.gateway.static_ui import StaticUI, find_ui_folder
from tests.unit.gateway.asgi import Answer, make_request

PAGE = b"<!doctype html><title>MLflow</title>" + b" " * 600
SCRIPT = b"console.log('headgate');\n" * 100
HASHED = "/static-files/static/js/main.c2f5f8d4.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build = tmp_path / "server" / "build"
    (build / "static" / "js").mkdir(parents=True)
    (build / "index.html").write_bytes(PAGE)
    (build / "static" / "js" / "main.c2f5f8d4.js").write_bytes(SCRIPT)
    (build / "manifest.json").write_bytes(b"{}")
    (build / "favicon.ico").write_bytes(b"icon")
    (build / "logo.33c4f99d8d4fe9d8.png").write_bytes(b"\x89PNG" * 500)
    (tmp_path / "server" / "secret.txt").write_text("not yours")
    return build


async def get(ui: StaticUI, path: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request, answer = make_request(method, path, named)
    assert ui.serves(request)
    await ui.serve(request)
    return answer


async def test_the_root_is_mlflows_page_and_is_never_kept(folder: Path) -> None:
    answer = await get(StaticUI(folder), "/")
    assert answer.status == 200
    assert answer.body == PAGE
    assert answer.headers[b"content-type"] == b"text/html; charset=utf-8"
    assert answer.headers[b"cache-control"] == b"no-store"


async def test_a_hashed_file_is_compressed_and_kept_for_a_year(folder: Path) -> None:
    answer = await get(StaticUI(folder), HASHED, accept_encoding="br, gzip")
    assert answer.headers[b"content-encoding"] == b"gzip"
    assert answer.headers[b"cache-control"] == b"private, max-age=31536000, immutable"
    assert answer.headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert answer.headers[b"vary"] == b"accept-encoding"
    assert int(answer.headers[b"content-length"]) == len(answer.body)
    assert gzip.decompress(answer.body) == SCRIPT


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip;q=0.0", "br"])
async def test_a_client_that_does_not_take_gzip_gets_the_file_as_it_is(
    folder: Path, accepted: str
) -> None:
    answer = await get(StaticUI(folder), HASHED, accept_encoding=accepted)
    assert b"content-encoding" not in answer.headers
    assert answer.body == SCRIPT


async def test_a_picture_is_not_compressed_again(folder: Path) -> None:
    answer = await get(
        StaticUI(folder), "/static-files/logo.33c4f99d8d4fe9d8.png", accept_encoding="gzip"
    )
    assert b"content-encoding" not in answer.headers
    assert answer.headers[b"content-type"] == b"image/png"


async def test_a_file_without_hash_is_asked_for_each_time(folder: Path) -> None:
    answer = await get(StaticUI(folder), "/static-files/manifest.json")
    assert answer.headers[b"cache-control"] == b"private, no-cache"
    assert answer.headers[b"content-type"] == b"application/json"


async def test_a_client_that_has_the_file_is_told_so(folder: Path) -> None:
    ui = StaticUI(folder)
    first = await get(ui, HASHED, accept_encoding="gzip")
    tag = first.headers[b"etag"].decode()
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await get(ui, HASHED, accept_encoding="gzip", if_none_match=known)
        assert again.status == 304
        assert again.body == b""
        assert again.headers[b"etag"] == first.headers[b"etag"]
    plain = await get(ui, HASHED, if_none_match=tag)
    assert plain.status == 200, "another encoding is another entity"


async def test_head_has_the_headers_alone(folder: Path) -> None:
    ui = StaticUI(folder)
    head = await get(ui, HASHED, "HEAD", accept_encoding="gzip")
    assert head.body == b""
    assert head.headers == (await get(ui, HASHED, accept_encoding="gzip")).headers


async def test_a_browser_finds_the_icon_by_itself(folder: Path) -> None:
    answer = await get(StaticUI(folder), "/favicon.ico")
    assert (answer.headers[b"content-type"], answer.body) == (b"image/x-icon", b"icon")


@pytest.mark.parametrize(
    "path",
    [
        "/static-files/",
        "/static-files/absent.js",
        "/static-files/../secret.txt",
        "/static-files/%2e%2e/secret.txt",
        "/static-files/..%2fsecret.txt",
        "/static-files/static/../../secret.txt",
        "/static-files//manifest.json",
        "/static-files/static",
        "/static-files/manifest.json/",
        "/static-files/MANIFEST.JSON",
        "/static-files/manifest.json%00",
        "/static-files//etc/passwd",
    ],
)
async def test_no_path_leads_to_anything_but_a_listed_file(folder: Path, path: str) -> None:
    with pytest.raises(ApiError) as refused:
        await get(StaticUI(folder), path)
    assert refused.value.status == 404


async def test_files_cannot_be_written(folder: Path) -> None:
    with pytest.raises(ApiError) as refused:
        await get(StaticUI(folder), HASHED, "POST")
    assert refused.value.status == 405
    assert (b"allow", b"GET, HEAD") in refused.value.headers


def test_other_paths_are_not_the_uis(folder: Path) -> None:
    ui = StaticUI(folder)
    for path in ("/api/2.0/mlflow/runs/get", "/static-filesx", "//", "/index.html"):
        assert not ui.serves(make_request("GET", path)[0])
    assert not StaticUI(None).serves(make_request("GET", "/")[0])


async def test_many_first_requests_compress_a_file_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressions = []
    compress = gzip.compress
    monkeypatch.setattr(
        static_ui.gzip, "compress", lambda *a, **k: compressions.append(a) or compress(*a, **k)
    )
    ui = StaticUI(folder)
    answers = await asyncio.gather(*(get(ui, HASHED, accept_encoding="gzip") for _ in range(20)))
    answers.append(await get(ui, HASHED, accept_encoding="gzip"))
    assert len({answer.body for answer in answers}) == 1
    assert len(compressions) == 1


async def test_a_client_that_leaves_does_not_take_the_file_from_the_others(folder: Path) -> None:
    ui = StaticUI(folder)
    leaving = asyncio.create_task(get(ui, HASHED))
    staying = asyncio.create_task(get(ui, HASHED))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).body == SCRIPT


async def test_memory_is_bounded_and_what_was_forgotten_is_served_again(folder: Path) -> None:
    ui = StaticUI(folder, memory_bytes=len(SCRIPT) + 10)
    for _ in range(3):
        assert (await get(ui, HASHED)).body == SCRIPT
        assert (await get(ui, "/")).body == PAGE
        assert ui._memory._used <= len(SCRIPT) + 10


async def test_every_file_of_the_installed_mlflow_has_a_known_type() -> None:
    folder = find_ui_folder()
    assert folder is not None
    files = static_ui._list_files(folder)
    assert b"/" in files
    assert len(files) > 300
    unknown = [p for p, f in files.items() if f.content_type == b"application/octet-stream"]
    assert unknown == []
    page = await get(StaticUI(folder), "/")
    assert b"static-files/static/js/main." in page.body


def test_finding_the_ui_does_not_import_mlflow() -> None:
    program = (
        "import sys; from headgate.gateway.static_ui import StaticUI, find_ui_folder;"
        "StaticUI(find_ui_folder());"
        "print([name for name in sys.modules if name.partition('.')[0] == 'mlflow'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
