# `docker pull python:3.13.15-slim-trixie` prints a digest: `FROM python:3.13.15-slim-trixie@sha256:...` takes that image alone.
FROM python:3.13.15-slim-trixie

ENV PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    ENGINE_HOST=0.0.0.0 \
    DATA_DIR=/data

WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes -r requirements.txt

RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin portal \
    && install --directory --owner=portal --group=portal --mode=0700 /data

COPY . .

USER 10001
VOLUME /data
EXPOSE 8000 8100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

# Migrates the database, collects the static files into DATA_DIR, then runs web, worker and engine.
CMD ["python", "manage.py", "up"]
