# Fascia's own programs in one image: the workers, the loops, the REST door and the command line.
# Built by docker-compose.temporal.yml. Not run where there is no Docker; `fascia up` needs none of this.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/dev.txt \
 && python -m venv /opt/fascia \
 && /opt/fascia/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/fascia/bin/pip install --no-cache-dir --no-deps --no-index --find-links /wheels fascia

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/fascia --create-home fascia
COPY --from=build /opt/fascia /opt/fascia
ENV PATH=/opt/fascia/bin:$PATH PYTHONUNBUFFERED=1 FASCIA_HOME=/var/lib/fascia
USER fascia
WORKDIR /var/lib/fascia
CMD ["fascia", "--help"]
