handler() {
	# The next line is a syntax error on purpose.
	echo "unbalanced" )
}
