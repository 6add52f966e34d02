# The service as a non-root user. It writes no files, so the file system can be read-only.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY domain domain
COPY ports ports
COPY adapters adapters
COPY entrypoints entrypoints
RUN python3 -m venv /opt/privity && /opt/privity/bin/pip install --no-cache-dir -c constraints.txt .

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
