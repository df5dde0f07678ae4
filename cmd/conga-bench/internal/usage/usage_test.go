package usage

import (
	"os"
	"runtime"
	"testing"
)

func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads Linux' /proc")
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	memory := MemoryNow()
	ballast := make([]byte, 32<<20)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	after, err := CPU(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("work has cost %v: %v", after-before, err)
	}
	if more := MemoryNow().Less(memory).Each(2); more.Bytes < 15<<20 || more.Bytes > 20<<20 {
		t.Errorf("half of 32 MB are %v bytes", more.Bytes)
	}
	rss, own, err := RSS(os.Getpid())
	if err != nil || own < 32<<20 || rss <= own {
		t.Errorf("the process has %d bytes, %d of its own: %v", rss, own, err)
	}
	runtime.KeepAlive(ballast)
	if load, err := Load(); err != nil || load < 0 {
		t.Errorf("load %v: %v", load, err)
	}
	if _, err := CPU(1 << 30); err == nil {
		t.Error("a process that is not there has used no processor time")
	}
	if System() == "" {
		t.Error("the machine has no name")
	}
}
