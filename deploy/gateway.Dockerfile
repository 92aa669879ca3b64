# What answers photos: serving/ and what it imports, ONNX Runtime and no TensorFlow. Built from the root of the repository:
#   docker build --file deploy/gateway.Dockerfile --tag gateway:$(git rev-parse --short HEAD) .
# The model is no part of it, so that a new version needs no new image. The advice and the parameters are.
ARG PYTHON=3.12-slim-trixie

FROM python:${PYTHON} AS build
COPY requirements-gateway.lock /opt/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --requirement /opt/requirements-gateway.lock \
    && /opt/venv/bin/pip check

FROM python:${PYTHON}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Security fixes of the distribution come with each build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade --yes \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --no-create-home retrain \
    && install --directory --owner=retrain --mode=0700 /log
COPY --from=build /opt/venv /opt/venv
COPY serving /opt/retrain/serving
COPY runtime /opt/retrain/runtime
COPY stages/__init__.py /opt/retrain/stages/
COPY stages/images /opt/retrain/stages/images
COPY stages/tables /opt/retrain/stages/tables
COPY params.yaml /opt/retrain/
COPY data/advice.yaml /opt/retrain/data/
# Numba keeps what it compiles in /tmp: the rest may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    RETRAIN_GATEWAY=/log/gateway
USER 65532
WORKDIR /opt/retrain
EXPOSE 8080
ENTRYPOINT ["python", "-m", "serving", "--host", "0.0.0.0"]
CMD ["--exports", "/models"]
