module github.com/rtbuild/rtbuild/incubator/binary/worker

go 1.24
