package main

import (
	"bytes"
	"fmt"
)

// A folder is a runtime's: a manifest, Dockerfiles, what they copy, and what
// they do not.
type folder struct {
	tree   *tree
	id     string
	images int
}

// An image is one of a folder's. The even ones are runtime images, each odd
// one is the init image of the version before it.
type image struct{ version, phase, repository, dockerfile, script string }

func (f folder) image(n int) image {
	version := fmt.Sprintf("%d.0", n/2+1)
	if n%2 == 0 {
		return image{version, "runtime", "acme/" + f.id, "Dockerfile." + version, "src/" + version + "/runtime.sh"}
	}
	return image{version, "installation", "acme/" + f.id + "-init", "Dockerfile.init." + version, "src/" + version + "/init.sh"}
}

func (f folder) write(busybox []byte) error {
	dir := "stable/" + f.id + "/"
	files := map[string][]byte{
		"rootfs/etc/salt":   []byte(f.tree.salt + "\n"),
		"README.md":         []byte("# " + f.id + "\n"),
		"examples/hello.sh": []byte("echo hello\n"),
		f.id + ".jsonnet":   f.manifest(),
	}
	for n := range f.images {
		img := f.image(n)
		files[img.dockerfile] = f.dockerfile(img)
		files[img.script] = fmt.Appendf(nil, "#!/bin/sh\nexec echo %s %s %s\n", f.id, img.version, img.phase)
	}
	for path, content := range files {
		if err := f.tree.file(dir+path, content, 0o644); err != nil {
			return err
		}
	}
	if busybox == nil {
		return nil
	}
	return f.tree.file(dir+"rootfs/bin/busybox", busybox, 0o755)
}

func (f folder) dockerfile(img image) []byte {
	d := &document{}
	d.line("FROM %s", f.tree.base)
	d.line("COPY rootfs/ /")
	d.line("COPY %s /srv/", img.script)
	d.line(`RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && echo %s %s >/etc/release"]`, img.repository, img.version)
	d.line(`CMD ["sh", "/srv/%s.sh"]`, map[bool]string{true: "runtime", false: "init"}[img.phase == "runtime"])
	return d.bytes()
}

func (f folder) manifest() []byte {
	d := &document{}
	d.line("{\n  ID: '%s',\n  depName: 'deps.txt',\n  fileNameSuffix: '.sh',\n  versions: [", f.id)
	for n := 0; n < f.images; n += 2 {
		d.line("    {\n      name: '%s%d',\n      version: '%s',\n      images: [", f.id, n/2+1, f.image(n).version)
		if n+1 < f.images {
			img := f.image(n + 1)
			d.line("        { phase: 'installation', image: '%s:%s', command: 'sh /srv/init.sh' },", img.repository, img.version)
		}
		d.line("        { phase: 'runtime', image: '%s:%s' },", f.image(n).repository, f.image(n).version)
		d.line("      ],\n    },")
	}
	d.line("  ],\n}")
	return d.bytes()
}

// bake adds the folder's targets to a bake file and returns their names,
// quoted.
func (f folder) bake(d *document) []string {
	var names []string
	for n := range f.images {
		img := f.image(n)
		name := fmt.Sprintf("%q", fmt.Sprintf("%s-%d-%s", f.id, n/2+1, img.phase))
		names = append(names, name)
		d.line("target %s {\n  context = \"stable/%s\"\n  dockerfile = %q\n  tags = [\"${REGISTRY}/%s:%s\"]\n}", name, f.id, img.dockerfile, img.repository, img.version)
	}
	return names
}

// A document is text written line by line.
type document struct{ buffer bytes.Buffer }

func (d *document) line(format string, args ...any) {
	fmt.Fprintf(&d.buffer, format+"\n", args...)
}

func (d *document) bytes() []byte { return d.buffer.Bytes() }
