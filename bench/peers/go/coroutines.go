// Area coroutines: goroutines on GOMAXPROCS=1.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	timers      = 100000
	timersATurn = 1000
	sleeps      = 200
	sleep100K   = 2 * time.Second
	sleep1M     = 7 * time.Second
)

func yieldsAmong(among int) float64 {
	return each(func(n int) {
		var w sync.WaitGroup
		w.Add(among)
		for i := 0; i < among; i++ {
			go func() {
				for k := 0; k < n; k += among {
					runtime.Gosched()
				}
				w.Done()
			}()
		}
		w.Wait()
	}, unbounded)
}

func spawnJoin() float64 {
	return each(func(n int) {
		var w sync.WaitGroup
		for i := 0; i < n; i++ {
			w.Add(1)
			go func() {
				nop()
				w.Done()
			}()
			w.Wait()
		}
	}, unbounded)
}

func spawnYieldJoin() float64 {
	return each(func(n int) {
		var w sync.WaitGroup
		for i := 0; i < n; i++ {
			w.Add(1)
			go func() {
				runtime.Gosched()
				w.Done()
			}()
			w.Wait()
		}
	}, unbounded)
}

func channelHop() float64 {
	return each(func(n int) {
		there, back := make(chan int, 1), make(chan int, 1)
		go func() {
			for i := 0; i < n; i += 2 {
				back <- <-there
			}
		}()
		for i := 0; i < n; i += 2 {
			there <- i
			check(<-back == i, "wrong message")
		}
	}, unbounded)
}

func timerDelay(n uint32) time.Duration {
	return time.Duration(10000+(n*2654435761>>8)%60000) * time.Millisecond
}

func timerRearm() float64 {
	var all [timers]*time.Timer
	set := uint32(0)
	for ; set < timers; set++ {
		all[uint64(set)*7919%timers] = time.AfterFunc(timerDelay(set), func() { panic("a timer fired") })
	}
	return each(func(n int) {
		for i := 0; i < n; i++ {
			all[uint64(set)*7919%timers].Reset(timerDelay(set))
			if set++; set%timersATurn == 0 {
				runtime.Gosched()
			}
		}
	}, unbounded)
}

func timerLate() float64 {
	late := make([]float64, sleeps)
	for i := range late {
		start := time.Now()
		for end := start.Add(time.Duration(i*617%1000) * time.Microsecond); start.Before(end); {
			start = time.Now()
		}
		time.Sleep(time.Millisecond)
		late[i] = (time.Since(start) - time.Millisecond).Seconds() * 1e6
	}
	sort.Float64s(late)
	return late[sleeps/2]
}

func resident() float64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "no /proc")
	kib := 0.0
	for _, line := range strings.Split(string(text), "\n") {
		var found float64
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			fmt.Sscanf(line[6:], "%f", &found)
			kib += found
		}
	}
	return kib * 1024
}

// sleepers is bench_sleepers of bench.h.
func sleepers(tasks int64, pause time.Duration) float64 {
	var w sync.WaitGroup
	var asleep int64
	var with float64
	w.Add(int(tasks))
	memory, used, start := resident(), cpu(), time.Now()
	sleeper := func() {
		if atomic.AddInt64(&asleep, 1) == tasks {
			with = resident()
		}
		time.Sleep(pause)
		check(with > 0, "they do not all sleep at the same time")
		w.Done()
	}
	for i := int64(0); i < tasks; i++ {
		go sleeper()
	}
	w.Wait()
	ms := (time.Since(start) - pause).Seconds() * 1e3
	fmt.Printf("cpu %.6g\nmemory %.6g\n", cpu()-used, (with-memory)/float64(tasks))
	return ms
}

var coroutines = map[string]func() float64{
	"yield-2":          func() float64 { return yieldsAmong(2) },
	"yield-1000":       func() float64 { return yieldsAmong(1000) },
	"spawn-join":       spawnJoin,
	"spawn-yield-join": spawnYieldJoin,
	"channel-hop":      channelHop,
	"timer-rearm":      timerRearm,
	"timer-late":       timerLate,
	"sleepers-100k":    func() float64 { return sleepers(100000, sleep100K) },
	"sleepers-1m":      func() float64 { return sleepers(1000000, sleep1M) },
}
