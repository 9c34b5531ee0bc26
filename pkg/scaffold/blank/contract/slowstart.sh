sleep 3

handler() {
	printf started
}
