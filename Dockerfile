# The service as a non-root user. It writes no files, so the file system can be read-only.
# Every package is installed from a lock file, which names the hashes of its files.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1
COPY requirements requirements
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
RUN python3 -m venv /opt/privity && /opt/privity/bin/pip install --require-hashes -r requirements/mcp.txt
COPY pyproject.toml README.md LICENSE ./
COPY privity privity
COPY domain domain
COPY ports ports
COPY adapters adapters
COPY entrypoints entrypoints
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/privity/bin/pip install --no-deps --no-index dist/privity-*.whl

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/privity /opt/privity
ENV PATH=/opt/privity/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=35s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["privity"]
CMD ["serve", "--host", "0.0.0.0"]
