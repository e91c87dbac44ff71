"""Every setting there is, with its type, unit, default and meaning.

The sections are those of the TOML file; ``KA_SECTION__NAME`` in the environment overrides the file.
Fields of type ``SecretStr`` are never read from the file or the environment: see :mod:`app.settings.load`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Seconds = Annotated[float, Field(gt=0)]
MiB = 1024 * 1024


class Section(BaseModel):
    """A table of the settings file; unknown names in it are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """The HTTP service: API and UI."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    url: str | None = Field(None, description="Where commands find the service; by default host and port.")
    allowed_hosts: list[str] = Field(
        ["localhost", "127.0.0.1", "[::1]"],
        description="Host names that browsers may use; keeps other web sites from talking to this service.",
    )
    cert_file: Path | None = Field(
        None, description="Certificate (PEM): serve HTTPS. Renewed, it is read again."
    )
    key_file: Path | None = Field(None, description="Its key (PEM), if it is in a file of its own.")
    ca_file: Path | None = Field(None, description="CA that commands trust; by default the machine's.")
    max_upload_bytes: int = Field(200 * MiB, gt=0, description="Largest document that is taken, in bytes.")
    notice_seconds: float = Field(
        0,
        ge=0,
        description="How long a load balancer may take to notice a stop; requests are served meanwhile.",
    )
    drain_seconds: float = Field(10, ge=0, description="How long open requests may take after a stop.")
    drain_folder: Path = Field(
        Path("/etc/knowledge-assistant/drained"),
        description="While a file is in it, /readyz tells load balancers to send nothing here.",
    )
    ui: bool = Field(True, description="Serve the web UI beside the API.")


class Database(Section):
    """PostgreSQL; without a url the embedded server in the data folder is started."""

    url: SecretStr | None = Field(None, description="Connection string (secret); may name several hosts.")
    pool_size: int = Field(8, ge=2, le=200, description="Connections that one process keeps at most.")
    connect_seconds: Seconds = Field(
        10, description="How long to wait for a connection; a change, for a primary that takes it."
    )
    statement_seconds: Seconds = Field(60, description="Longest time of one statement.")


class Chroma(Section):
    """The vector index; without a url the embedded server in the data folder is started."""

    url: str | None = Field(None, description="Address of a Chroma server, such as http://10.0.0.5:8000.")
    ca_file: Path | None = Field(None, description="CA that its certificate must be from (https).")
    cert_file: Path | None = Field(
        None, description="Certificate (PEM) to show it. Renewed, it is read again."
    )
    key_file: Path | None = Field(None, description="Its key (PEM), if it is in a file of its own.")
    timeout_seconds: Seconds = Field(10, description="Longest time of one request.")
    check_seconds: Seconds = Field(300, description="How often the index is compared with the database.")


class Objects(Section):
    """Where the bytes of the documents lie: a folder, or any S3 server."""

    kind: Literal["folder", "s3"] = Field("folder", description="folder or s3.")
    folder: Path | None = Field(None, description="The folder; by default 'objects' in the data folder.")
    endpoint: str | None = Field(None, description="Address of the S3 server; by default the one of AWS.")
    ca_file: Path | None = Field(None, description="CA that the server's certificate must be from.")
    bucket: str = Field("knowledge-assistant", description="The bucket.")
    region: str = Field("us-east-1", description="The bucket's region.")
    access_key: SecretStr | None = Field(None, description="S3 access key id (secret).")
    secret_key: SecretStr | None = Field(None, description="S3 secret key (secret).")


class Embedding(Section):
    """The model that turns text into vectors."""

    engine: Literal["local", "openai"] = Field("local", description="local, or an OpenAI-compatible server.")
    variant: Literal["auto", "fp32", "int8"] = Field("auto", description="Arithmetic of the local model.")
    threads: int = Field(0, ge=0, le=256, description="Threads of the local model; 0: the cores there are.")
    model_dir: Path | None = Field(None, description="Folder of the local model, made at set-up.")
    base_url: str | None = Field(None, description="Address of the server, such as http://10.0.0.6:8000/v1.")
    model: str = Field("all-MiniLM-L6-v2", description="The server's name for its model.")
    api_key: SecretStr | None = Field(None, description="Key for the server (secret).")
    timeout_seconds: Seconds = Field(30, description="Longest time of one request.")

    @model_validator(mode="after")
    def _server_needs_address(self) -> Embedding:
        if self.engine == "openai" and not self.base_url:
            raise ValueError("embedding.engine is 'openai', so embedding.base_url must be given")
        return self


class Llm(Section):
    """The language model that words the answers; without a base_url answers are extracts."""

    base_url: str | None = Field(
        None, description="An OpenAI-compatible server, such as http://10.0.0.7:8000/v1."
    )
    model: str | None = Field(None, description="The server's name for its model.")
    api_key: SecretStr | None = Field(None, description="Key for the server (secret).")
    first_token_seconds: Seconds = Field(20, description="Longest wait for the first word of an answer.")
    timeout_seconds: Seconds = Field(120, description="Longest time of a whole answer.")
    max_tokens: int = Field(800, ge=16, description="Longest answer, in tokens.")

    @model_validator(mode="after")
    def _model_goes_with_address(self) -> Llm:
        if self.base_url and not self.model:
            raise ValueError("llm.base_url is given, so llm.model must be given too")
        return self


class Parsing(Section):
    """Limits of the child process that reads one document."""

    memory_bytes: int = Field(2048 * MiB, ge=256 * MiB, description="Memory, in bytes.")
    cpu_seconds: int = Field(60, ge=1, description="Processor time, in seconds.")
    wall_seconds: Seconds = Field(180, description="Time by the clock, in seconds.")
    max_characters: int = Field(20_000_000, ge=1000, description="Most characters of text in one document.")
    max_pages: int = Field(10_000, ge=1, description="Most pages in one document.")


class Chunking(Section):
    """How documents are cut into passages, in the embedding model's own tokens."""

    tokens: int = Field(200, ge=32, le=2000, description="Most tokens of a passage.")
    overlap: int = Field(30, ge=0, description="Tokens that two neighbours share.")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Chunking:
        if self.overlap * 2 > self.tokens:
            raise ValueError("chunking.overlap may be at most half of chunking.tokens")
        return self


class Retrieval(Section):
    """How passages are found."""

    candidates: int = Field(50, ge=5, le=500, description="Passages that each ranking contributes.")
    passages: int = Field(8, ge=1, le=50, description="Passages that an answer is made from.")


class Worker(Section):
    """Processes that read the documents."""

    processes: int | None = Field(
        None, ge=0, le=64, description="Workers that 'ka serve' starts; 0 leaves them to 'ka worker'."
    )
    heartbeat_seconds: Seconds = Field(2, description="How often a worker says that it lives.")
    lost_seconds: Seconds = Field(10, description="Silence after which a worker's job is given to another.")
    attempts: int = Field(5, ge=1, description="How often a job that fails for reasons of ours is tried.")

    @model_validator(mode="after")
    def _lost_is_longer(self) -> Worker:
        if self.lost_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("worker.lost_seconds must be at least three times worker.heartbeat_seconds")
        return self


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    format: Literal["text", "json"] = Field("text", description="Lines for people, or JSON for machines.")


class Settings(Section):
    """All settings of one process."""

    data_dir: Path = Field(Path("data"), description="Folder of everything that is kept on this machine.")
    server: Server = Server()
    database: Database = Database()
    chroma: Chroma = Chroma()
    objects: Objects = Objects()
    embedding: Embedding = Embedding()
    llm: Llm = Llm()
    parsing: Parsing = Parsing()
    chunking: Chunking = Chunking()
    retrieval: Retrieval = Retrieval()
    worker: Worker = Worker()
    log: Log = Log()

    @property
    def url(self) -> str:
        """Address at which the commands find the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.server.host, self.server.host)  # noqa: S104
        scheme = "https" if self.server.cert_file else "http"
        return (self.server.url or f"{scheme}://{host}:{self.server.port}").rstrip("/")

    @property
    def objects_dir(self) -> Path:
        """Folder of the object store when its kind is 'folder'."""
        return self.objects.folder or self.data_dir / "objects"

    @property
    def scratch_dir(self) -> Path:
        """Where uploads lie while they are taken in, and documents while they are parsed."""
        return self.data_dir / "run" / "scratch"

    @property
    def worker_processes(self) -> int:
        """Workers that ``ka serve`` starts: by default one for two cores, at most four."""
        if self.worker.processes is not None:
            return self.worker.processes
        return max(1, min(4, (os.cpu_count() or 1) // 2))
