# Prints each certificate of PEM files on a line of its own: its base64 text
# without line breaks. The text equals the DER bytes one to one, so equal
# lines are equal certificates, whatever comments and line lengths the files
# have.
/^-----BEGIN CERTIFICATE-----/ { inside = 1; text = ""; next }
/^-----END CERTIFICATE-----/ { if (inside && text != "") print text; inside = 0; next }
inside { gsub(/[ \t\r]/, ""); text = text $0 }
