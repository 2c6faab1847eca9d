# Two stages: the first builds, the second holds Python, the package and nothing else.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml LICENSE README.md ./
COPY proxy ./proxy
RUN python -m venv --without-pip /opt/auth-proxy \
    && python -m pip --python /opt/auth-proxy/bin/python install . \
    && python -m compileall -q /opt/auth-proxy

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="auth-proxy" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/auth-proxy /opt/auth-proxy
# The file system may be read-only: nothing is written, and nothing needs a home or a shell.
ENV PATH=/opt/auth-proxy/bin:/usr/local/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AUTH_PROXY_CONFIG=/etc/auth-proxy/proxy.cfg \
    AUTH_PROXY_SERVER_LISTEN=0.0.0.0:4180
WORKDIR /
USER 10001:10001
EXPOSE 4180
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s --retries=10 \
    CMD ["auth-proxy", "healthcheck"]
ENTRYPOINT ["auth-proxy"]
CMD ["serve", "--config", "/etc/auth-proxy/proxy.cfg"]
