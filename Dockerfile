# The daemon as a container image.
#
#   docker build --tag backorder-consumer .
#   docker run --read-only --cap-drop ALL -p 8080:8080 \
#     -v ./consumer.toml:/etc/backorder-consumer/consumer.toml:ro \
#     -v backorder:/var/lib/backorder-consumer backorder-consumer
#
# PYTHON_IMAGE may be any image with Python 3.11 or newer and its venv module: both stages start
# from it, so that the virtual environment finds the same interpreter in both.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

# --- build: tools, sources and caches stay in this stage ---------------------------------------
FROM ${PYTHON_IMAGE} AS build
# For a package mirror, or certificates of one's own; they leave no trace in the image.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# A C compiler where the image has none: Debian's own. `optional` builds without where that fails.
ARG BACKORDER_COMPILED=required
COPY deploy/prepare.sh deploy/
RUN sh deploy/prepare.sh compiler "$BACKORDER_COMPILED" python3

# What it needs, at the versions and hashes of the lock. The environment itself gets no pip.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv tools \
 && tools/bin/pip install --quiet --require-hashes -r requirements-build.lock \
 && python3 -m venv --without-pip /opt/backorder-consumer \
 && tools/bin/pip --python /opt/backorder-consumer install --quiet --require-hashes \
        -r requirements.lock

# The program itself, last: a change to it leaves the layers above as they are.
COPY pyproject.toml README.md LICENSE ./
COPY deploy/hatch_build.py deploy/
COPY schemas schemas
COPY consumer consumer
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
 && tools/bin/pip --python /opt/backorder-consumer install --quiet --no-deps --no-index dist/*.whl

# --- the image ---------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="backorder-consumer" \
      org.opencontainers.image.description="Turns every vendor's back-order news into one durable stream of events." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A fixed number, for runAsNonRoot and for whoever owns a mounted volume.
RUN groupadd --gid 10001 backorder \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/backorder-consumer \
        --shell /usr/sbin/nologin backorder \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/backorder-consumer \
 && install -d -m 0755 /etc/backorder-consumer

COPY --from=build /opt/backorder-consumer /opt/backorder-consumer

# BACKORDER_HEALTH_URL follows [admin] listen, where that is not the default.
ENV PATH=/opt/backorder-consumer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BACKORDER_CONFIG=/etc/backorder-consumer/consumer.toml \
    BACKORDER_HEALTH_URL=http://127.0.0.1:8081/healthz

USER 10001:10001
WORKDIR /var/lib/backorder-consumer
VOLUME /var/lib/backorder-consumer
EXPOSE 8080 8081
STOPSIGNAL SIGTERM

# Never through a proxy: it is this very container that is asked. Any status but 200 raises.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(os.environ['BACKORDER_HEALTH_URL'], timeout=4)"]

ENTRYPOINT ["backorder-consumer"]
CMD ["run"]
