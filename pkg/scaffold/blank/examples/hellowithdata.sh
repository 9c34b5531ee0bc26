# The data is on stdin; what is known of the event is in EVENT_ID and its like.
handler() {
	cat
}
