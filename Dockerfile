FROM node:22-slim AS assets
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH="/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORT=8000
WORKDIR /app

# instance/ is the one place the portal may write to: the SQLite database and its key, where no DATABASE_URL is given.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin portal \
    && install -d -o portal -g portal -m 0700 instance

COPY --from=packages /venv /venv
COPY wsgi.py gunicorn.conf.py ./
COPY deploy/healthcheck.py deploy/
COPY migrations migrations
COPY templates templates
COPY static static
COPY --from=assets /build/static/vendor static/vendor
COPY portal portal

USER portal
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "wsgi:app"]
