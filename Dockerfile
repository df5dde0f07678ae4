# A server, or with other words a listener without a loudspeaker:
#   docker build -t conga .
#   docker run --network host -v ~/Music:/songs:ro -v conga:/data conga
#   docker run --network host --no-healthcheck conga join radio.example --output null --listen :7002 --plain
# With -p 7000-7001:7000-7001 instead of the host's network, the link that it prints names an address inside the container: give
# guests the host's. There is no ffmpeg in it, so it plays mp3 only.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/conga ./cmd/conga && mkdir /out/data

FROM scratch
COPY --from=build /out/conga /conga
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV CONGA_SONGS=/songs CONGA_DATA=/data CONGA_PLAIN=true CONGA_NO_MDNS=true CONGA_LOG_FORMAT=json HOME=/data
VOLUME /data
EXPOSE 7000 7001
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/conga", "status"]
ENTRYPOINT ["/conga"]
CMD ["serve"]
