package pool

func callScripts() []script {
	return []script{
		{"a call waits for the first worker", single(), `
			take a  |         | 1 loading
			load 1  | grant a 1 | 1 ready
			release a
			release a`},
		{"first come, first served", single(), `
			load 1
			take a | grant a 1
			take b
			take c
			release a | grant b 1
			return b  | grant c 1`},
		{"the queue is full", single(), `
			take a
			take b
			take c | refuse c
			leave a
			take d
			load 1 | grant b 1`},
		{"who is tried again waits in front, and takes no room", single(), `
			load 1
			take a | grant a 1
			take b
			take c
			again d
			release a | grant d 1
			release d | grant b 1`},
		{"a wait ends", alone(), `
			take a
			pass 999ms
			pass 1ms | refuse a`},
		{"calls go to the worker with the fewest, the oldest among equals", several(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			take c
			pass 15ms | measure
			measured 9 | start 2
			load 2 | grant c 2
			release a
			release b
			take d | grant d 1
			take e | grant e 1
			take f | grant f 2`},
		{"a call that nobody waits for keeps a worker of one call", single(), `
			load 1
			take a | grant a 1
			abandon a | ask a
			take b
			ask a yes | grant b 1`},
		{"and costs it when it runs over time", single(), `
			load 1
			take a | grant a 1
			abandon a | ask a
			ask a late | kill 1, start 2 | 1 killed, 1 loading
			die 1 | drop 1
			bury 1 |  | 1 loading`},
		{"but not a worker of several", several(), `
			load 1
			take a | grant a 1
			abandon a |  | 1 ready`},
		{"after a broken connection a worker gets no calls for a moment", several(), `
			load 1
			take a | grant a 1
			break a
			take b
			pass 99ms | measure
			pass 1ms | grant b 1`},
		{"nor does it any more if its process has ended", several(), `
			load 1
			take a | grant a 1
			break a
			take b
			die 1 | drop 1 | 1 lost
			bury 1 | start 2 | 1 loading
			load 2 | grant b 2`},
		{"calls that nobody holds end with the process", several(), `
			load 1 cancels
			take a | grant a 1
			timeout a | cancel a
			die 1 | drop 1
			cancel a yes
			bury 1 | start 2`},
		{"closing refuses all", single(), `
			take a
			close | refuse a, terminate 1 | 1 stopping
			take b | refuse b
			pass 2s | kill 1
			die 1 | drop 1
			bury 1 | finish`},
	}
}

func workerScripts() []script {
	return []script{
		{"over time, one call at once: killed and replaced", single(), `
			load 1
			take a | grant a 1
			timeout a | kill 1, start 2 | 1 killed, 1 loading
			die 1 | drop 1 | 1 left, 1 loading
			bury 1 |  | 1 loading`},
		{"over time, several: serves until the next can, if it answers", several(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			timeout a | look 1, start 2 | 1 loading, 1 mute
			take c
			look 1 yes | grant c 1 | 1 loading, 1 retiring
			load 2 |  | 1 draining, 1 ready
			release b
			release c | terminate 1 | 1 ready, 1 stopping`},
		{"over time, several, stopped: nothing is lost", several(), `
			load 1 cancels
			take a | grant a 1
			timeout a | cancel a
			cancel a yes |  | 1 ready`},
		{"over time, several, not stopped", several(), `
			load 1 cancels
			take a | grant a 1
			timeout a | cancel a
			cancel a no | look 1, start 2 | 1 loading, 1 mute`},
		{"over time where the port is needed", classic(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			timeout a |  | 1 draining
			take c
			release b | terminate 1
			die 1 | drop 1
			bury 1 | start 2
			load 2 | grant c 2`},
		{"too many leave already", several(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			timeout a | look 1, start 2
			load 2 |  | 1 draining, 1 ready
			take c | grant c 2
			take d | grant d 2
			timeout c | look 2, start 3 | 1 draining, 1 loading, 1 mute
			timeout d | kill 2 | 1 draining, 1 killed, 1 loading`},
		{"a busy loop", several(), `
			load 1
			take a | grant a 1
			pass 500ms | look 1
			look 1 no | start 2 | 1 loading, 1 silent
			take b
			load 2 | grant b 2
			pass 500ms | look 1, look 2
			look 1 yes |  | 2 ready`},
		{"silence ends: who retired is relieved", several(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			timeout a | look 1, start 2
			look 1 yes |  | 1 loading, 1 retiring
			load 2 |  | 1 draining, 1 ready
			release b | terminate 1`},
		{"a silent worker that answers relieves one that retires", several(), `
			load 1
			hear 1 no | start 2 | 1 loading, 1 silent
			load 2 |  | 1 ready, 1 silent
			take a | grant a 2
			timeout a | look 2, start 3 | 1 loading, 1 mute, 1 silent
			hear 1 yes | terminate 2 | 1 loading, 1 ready, 1 stopping`},
		{"it takes no connections", single(), `
			load 1
			take a | grant a 1
			unreachable a | kill 1, start 2 | 1 condemned, 1 loading
			die 1 | drop 1
			bury 1 |  | 1 loading`},
		{"not ready in time", single(), `
			unfit 1 | kill 1 | 1 condemned
			load 1
			die 1 | drop 1
			bury 1
			pass 250ms | start 2`},
		{"idle connections to a port", classic(), `
			load 1
			take a | grant a 1
			release a
			pass 999ms
			pass 1ms | drop 1`},
	}
}

func crashScripts() []script {
	return []script{
		{"back-off doubles, and a good call ends it", single(), `
			die 1 | drop 1
			bury 1
			take a | refuse a
			pass 249ms
			pass 1ms | start 2
			die 2 | drop 2
			bury 2
			pass 499ms
			pass 1ms | start 3
			load 3
			take b | grant b 3
			release b
			die 3 | drop 3
			bury 3 | start 4`},
		{"a lease that no call has used is no good call", single(), `
			load 1
			die 1 | drop 1
			bury 1 | start 2
			load 2
			take a | grant a 2
			return a
			die 2 | drop 2
			bury 2
			take b | refuse b
			pass 250ms | start 3`},
		{"a worker that ran for long forgives what was before", single(), `
			die 1 | drop 1
			bury 1
			pass 250ms | start 2
			load 2
			pass 61s
			die 2 | drop 2
			bury 2 | start 3`},
		{"nobody is refused while one serves", single(), `
			load 1
			take a | grant a 1
			take b
			pass 10ms | measure
			measured 1 | start 2
			die 2 | drop 2
			bury 2
			pass 10ms | measure
			measured 1 | start 3
			die 3 | drop 3
			bury 3
			take c
			release a | grant b 1`},
		{"one attempt at a time, then as many as there must be", func() rules {
			r := single()
			r.MinWorkers = 3
			return r
		}(), `
			die 1 | drop 1
			bury 1
			die 2 | drop 2
			bury 2
			die 3 | drop 3
			bury 3
			pass 1s | start 4 | 1 loading
			load 4 | start 5
			load 5 | start 6
			load 6 |  | 3 ready`},
		{"a good call ends the back-off for all", func() rules {
			r := single()
			r.MinWorkers = 3
			return r
		}(), `
			load 1
			load 2
			load 3
			take a | grant a 1
			die 2 | drop 2
			bury 2 | start 4
			die 3 | drop 3
			bury 3
			pass 250ms
			release a | start 5 | 2 loading, 1 ready`},
	}
}

func scaleScripts() []script {
	return []script{
		{"calls that wait start what is useful", single(), `
			load 1
			take a | grant a 1
			take b
			take c
			pass 10ms | measure
			measured 1 | start 2 | 1 loading, 1 ready
			pass 10ms | measure
			measured 5 | start 3
			pass 10ms | measure
			measured 5
			load 2 | grant b 2`},
		{"nothing is useful, but no call ends", single(), `
			load 1
			take a | grant a 1
			take b
			pass 10ms | measure
			measured 0
			pass 180ms | measure
			measured 0
			pass 20ms | measure
			measured 0 | start 2`},
		{"no more than allowed", several(), `
			load 1
			take a | grant a 1
			take b | grant b 1
			take c
			pass 10ms | measure
			measured 9 | start 2
			load 2 | grant c 2
			take d | grant d 2
			take e
			pass 100ms
			leave e`},
		{"a spare worker is stopped, the youngest first", single(), `
			load 1
			take a | grant a 1
			take b
			pass 10ms | measure
			measured 1 | start 2
			load 2 | grant b 2
			release a
			release b
			pass 71s | terminate 2 | 1 ready, 1 stopping`},
	}
}
