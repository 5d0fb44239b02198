# Hub Ledger service image. Two stages: the first builds the two wheels, the second
# holds the runtime alone. Both install by hash from the lock files.
#
#   docker build -t hub-ledger .
#   docker run --rm -v hub-ledger-data:/data hub-ledger init --data /data
#   docker run -p 8080:8080 -v hub-ledger-data:/data hub-ledger
#
# docs/operations.md says what must be backed up, and what must not be kept together.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY LICENSE README.md CHANGELOG.md pyproject.toml ./
COPY verifier/ verifier/
COPY ledger/ ledger/
COPY api/ api/
RUN python -m build --wheel --no-isolation --outdir /wheels ./verifier \
 && python -m build --wheel --no-isolation --outdir /wheels .

FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY requirements-runtime.lock /tmp/requirements-runtime.lock
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements-runtime.lock \
 && rm /tmp/requirements-runtime.lock
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl \
 && rm -r /tmp/wheels \
 && groupadd --gid 10001 ledger \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin ledger \
 && install -d -o ledger -g ledger -m 0700 /data
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4).close()"]
ENTRYPOINT ["hub-ledger"]
CMD ["serve", "--data", "/data", "--host", "0.0.0.0", "--port", "8080"]
