// The Go contender: goroutines and channels on GOMAXPROCS=2.
//
// "go" hands tasks to two workers through a channel, without a future, as Go programs do;
// "go-future" gives each task a channel of its own on which its end is awaited.
// The sizes are those of bench.h. The area coroutines is in coroutines.go, on GOMAXPROCS=1.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	tasks       = 1000000
	window      = 1024
	parkedTrips = 200
	queueSize   = 1024
	unbounded   = int(^uint(0) >> 1)
)

// each returns nanoseconds an item; see bench_each in bench.h.
func each(work func(n int), most int) float64 {
	n := 1000
	var took float64
	for _, seconds := range []float64{0.02, 0.3, 0} {
		start := time.Now()
		work(n)
		took = time.Since(start).Seconds() / float64(n)
		if next := seconds / took; next < float64(most) {
			n = int(next) + 1
		} else {
			n = most
		}
	}
	return took * 1e9
}

//go:noinline
func nop() {}

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func submitOutside() float64 {
	queue := make(chan func(), window)
	var all sync.WaitGroup
	for i := 0; i < 2; i++ {
		go func() {
			for task := range queue {
				task()
				all.Done()
			}
		}()
	}
	return each(func(n int) {
		all.Add(n)
		for i := 0; i < n; i++ {
			queue <- nop
		}
		all.Wait()
	}, tasks)
}

type future struct {
	run  func()
	done chan struct{}
}

func submitOutsideFuture() float64 {
	queue := make(chan *future, window)
	for i := 0; i < 2; i++ {
		go func() {
			for f := range queue {
				f.run()
				f.done <- struct{}{}
			}
		}()
	}
	return each(func(n int) {
		var outstanding [window]*future
		for i := 0; i < n; i++ {
			slot := &outstanding[i%window]
			if *slot != nil {
				<-(*slot).done
			}
			*slot = &future{nop, make(chan struct{}, 1)}
			queue <- *slot
		}
		for _, f := range outstanding {
			if f != nil {
				<-f.done
			}
		}
	}, tasks)
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	a := make(chan int, 1)
	go func() { a <- fib(n - 1) }()
	b := fib(n - 2)
	return <-a + b
}

func forkJoin(procs int) float64 {
	runtime.GOMAXPROCS(procs)
	const n, spawns, value = 22, 28656, 17711
	fib(n - 5)
	start := time.Now()
	check(fib(n) == value, "wrong fib")
	return time.Since(start).Seconds() * 1e9 / spawns
}

func squares(n int) float64 {
	in, out := make([]float64, n), make([]float64, n)
	for i := range in {
		in[i] = float64(i % 1000)
	}
	half := func(from, to int) {
		a, b := in[from:to], out[from:to]
		for i := range a {
			b[i] = a[i] * a[i]
		}
	}
	once := func() {
		var w sync.WaitGroup
		w.Add(1)
		go func() {
			half(0, n/2)
			w.Done()
		}()
		half(n/2, n)
		w.Wait()
	}
	rounds := 40000000/n + 1
	for i := 0; i < rounds/10+1; i++ {
		once()
	}
	start := time.Now()
	for i := 0; i < rounds; i++ {
		once()
	}
	us := time.Since(start).Seconds() * 1e6 / float64(rounds)
	for i := range in {
		check(out[i] == in[i]*in[i], "wrong map")
	}
	return us
}

// A goroutine on a thread of its own, so that a trip to it is a trip to another thread.
func answerer(answer func()) {
	go func() {
		runtime.LockOSThread()
		for {
			answer()
		}
	}()
}

func roundTripSpin() float64 {
	there, back := make(chan int, 1), make(chan int, 1)
	poll := func(c chan int) int {
		for {
			select {
			case v := <-c:
				return v
			default:
			}
		}
	}
	answerer(func() { back <- poll(there) })
	return each(func(n int) {
		for i := 0; i < n; i++ {
			there <- i
			poll(back)
		}
	}, unbounded)
}

// There and back between two goroutines that may share a thread, or between two threads.
func channels(start func(answer func())) func() {
	there, back := make(chan int), make(chan int)
	start(func() { back <- <-there })
	return func() {
		there <- 0
		<-back
	}
}

func sameThread(answer func()) {
	go func() {
		for {
			answer()
		}
	}()
}

func roundTripSteady(start func(answer func())) float64 {
	trip := channels(start)
	return each(func(n int) {
		for i := 0; i < n; i++ {
			trip()
		}
	}, unbounded)
}

func roundTripParked() float64 {
	runtime.LockOSThread()
	trip := channels(answerer)
	took := make([]float64, parkedTrips)
	for i := range took {
		for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
		}
		start := time.Now()
		trip()
		took[i] = time.Since(start).Seconds() * 1e9
	}
	sort.Float64s(took)
	return took[len(took)/2]
}

func lockLoop(l *sync.Mutex, counter *int, n int) {
	for i := 0; i < n; i++ {
		l.Lock()
		*counter++
		l.Unlock()
	}
}

func lockAlone() float64 {
	var l sync.Mutex
	counter := 0
	return each(func(n int) { lockLoop(&l, &counter, n) }, unbounded)
}

func lockContended() float64 {
	var l sync.Mutex
	return each(func(n int) {
		counter := 0
		var w sync.WaitGroup
		w.Add(1)
		go func() {
			lockLoop(&l, &counter, n/2)
			w.Done()
		}()
		lockLoop(&l, &counter, n/2)
		w.Wait()
		check(counter == n/2*2, "lost updates")
	}, unbounded)
}

func conditionHandover() float64 {
	var l sync.Mutex
	changed := sync.NewCond(&l)
	turn := 0
	loop := func(mine, rounds int) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for i := 0; i < rounds; i++ {
			l.Lock()
			for turn != mine {
				changed.Wait()
			}
			turn = 1 - mine
			changed.Signal()
			l.Unlock()
		}
	}
	return each(func(n int) {
		var w sync.WaitGroup
		w.Add(1)
		go func() {
			loop(1, n/2)
			w.Done()
		}()
		loop(0, n/2)
		w.Wait()
	}, unbounded)
}

type message [8]uint64

func queue64b() float64 {
	queue := make(chan message, queueSize)
	return 1e3 / each(func(n int) {
		go func() {
			var m message
			for i := 0; i < n; i++ {
				m[0] = uint64(i)
				queue <- m
			}
		}()
		for i := 0; i < n; i++ {
			m := <-queue
			check(m[0] == uint64(i), "wrong message")
		}
	}, unbounded)
}

func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) * 1e-6
}

func idleCPU() float64 {
	queue := make(chan func(), window)
	var ran int64
	for i := 0; i < 2; i++ {
		go func() {
			for task := range queue {
				task()
				atomic.AddInt64(&ran, 1)
			}
		}()
	}
	for i := 0; i < tasks/10; i++ {
		queue <- nop
	}
	before := cpu()
	time.Sleep(2 * time.Second)
	return cpu() - before
}

func main() {
	runtime.GOMAXPROCS(2)
	table := map[string]func() float64{
		"submit-outside":           submitOutside,
		"submit-outside-future":    submitOutsideFuture,
		"fork-join-1":              func() float64 { return forkJoin(1) },
		"fork-join-2":              func() float64 { return forkJoin(2) },
		"nested-submit":            func() float64 { return forkJoin(2) },
		"map-10k":                  func() float64 { return squares(10000) },
		"map-10m":                  func() float64 { return squares(10000000) },
		"round-trip-spin":          roundTripSpin,
		"round-trip-steady":        func() float64 { runtime.LockOSThread(); return roundTripSteady(answerer) },
		"round-trip-steady-shared": func() float64 { return roundTripSteady(sameThread) },
		"round-trip-parked":        roundTripParked,
		"lock-alone":               lockAlone,
		"lock-contended":           lockContended,
		"condition-handover":       conditionHandover,
		"queue-64b":                queue64b,
		"idle-cpu":                 idleCPU,
	}
	name := os.Args[len(os.Args)-1]
	run := table[name]
	if run == nil {
		run = coroutines[name]
		runtime.GOMAXPROCS(1)
	}
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: go-peer WORKLOAD, one of:")
		for name := range table {
			fmt.Fprintln(os.Stderr, name)
		}
		for name := range coroutines {
			fmt.Fprintln(os.Stderr, name)
		}
		os.Exit(2)
	}
	fmt.Printf("%s %.6g\n", os.Args[1], run())
}
