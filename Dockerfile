# An image that issues gifts as a user without rights, with a root file system that may be read-only:
#   docker build --tag runa .
#   docker run --rm --read-only --tmpfs /tmp --volume runa-data:/data --volume runa-state:/state runa ping --env local
# docs/installation.md tells what to mount and how to hand over the key.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY . .
# An environment of its own can be copied as a whole, and takes none of pip's own files along.
RUN python -m venv /opt/runa \
    && /opt/runa/bin/pip install --no-cache-dir --no-compile '.[excel,postgres]' \
    && /opt/runa/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
# The directories belong to the user, and so do volumes that are mounted on them for the first time.
RUN groupadd --gid 10001 runa \
    && useradd --uid 10001 --gid runa --no-create-home --home-dir /data --shell /usr/sbin/nologin runa \
    && install --directory --mode=0700 --owner=runa --group=runa /data /state
COPY --from=build /opt/runa /opt/runa
# The ledger is in /data, and the marks that notice an older copy of it in /state, which must not be restored with it.
ENV PATH=/opt/runa/bin:$PATH \
    HOME=/data \
    XDG_DATA_HOME=/data \
    XDG_STATE_HOME=/state \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /files
VOLUME ["/data", "/state"]
ENTRYPOINT ["runa"]
CMD ["--help"]
