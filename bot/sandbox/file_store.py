"""Where the bytes of files go up and down."""

from aiohttp import web

from bot.sandbox.api import Api
from bot.sandbox.workspace import File, Workspace


def add_files(app: web.Application, workspaces: list[Workspace], api: Api) -> None:
    """Put the addresses of files on a server."""
    store = _Store(workspaces, api)
    app.router.add_post("/upload/v1/{file}", store.upload)
    app.router.add_get("/files-pri/{file}/download", store.download)


class _Store:
    def __init__(self, workspaces: list[Workspace], api: Api) -> None:
        self._workspaces = workspaces
        self._api = api

    def _file(self, request: web.Request) -> File | None:
        wanted = request.match_info["file"]
        return next((one.files[wanted] for one in self._workspaces if wanted in one.files), None)

    async def upload(self, request: web.Request) -> web.Response:
        file = self._file(request)
        if file is None or file.uploaded:
            return web.Response(status=404, text="unknown upload")
        file.content = await _body(request)
        if len(file.content) != file.size:
            return web.Response(status=400, text=f"{file.size} bytes announced, {len(file.content)} came")
        file.uploaded = True
        return web.Response(text=f"OK - {file.size}")

    async def download(self, request: web.Request) -> web.Response:
        file = self._file(request)
        if file is None or not file.completed:
            return web.Response(status=404)
        wait = self._api.wait_for_files()
        if wait is not None:
            return web.Response(status=429, headers={"Retry-After": str(wait)})
        if not self._api.may_read_files(request):
            # The real one answers 200 with a login page here, and so does this.
            return web.Response(text="<html><body>Sign in</body></html>", content_type="text/html")
        return web.Response(body=file.content, content_type="application/octet-stream")


async def _body(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    for value in (await request.post()).values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""
