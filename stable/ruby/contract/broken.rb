def handler(event, context)
  # The next line is a syntax error, on purpose.
  return )
end
