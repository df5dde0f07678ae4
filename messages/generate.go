package messages

//go:generate protoc -I .. --go_out=.. --go_opt=module=conga messages/play.proto messages/chain.proto messages/audio.proto messages/relay.proto messages/listener.proto messages/lease.proto
