package differential

import (
	"fmt"
	"path"
	"strings"
)

// dockerfile writes the case's Dockerfile.
func (g *generator) dockerfile() {
	g.add("# token:dockerfile;")
	switch g.IntN(7) {
	case 0, 1, 2:
		g.single("")
	case 3:
		g.byArgument()
	case 4:
		g.byPlatform()
	case 5:
		g.multiStage()
	case 6:
		g.targetStage()
	}
	g.c.writeDockerfile()
}

// writeDockerfile puts the instructions into the case's files.
func (c *testCase) writeDockerfile() {
	c.files[c.dockerfile] = entry{kind: file, mode: 0o644, content: strings.Join(c.instructions, "\n") + "\n"}
}

func (g *generator) add(format string, args ...any) {
	g.c.instructions = append(g.c.instructions, fmt.Sprintf(format, args...))
}

// single is one stage.
func (g *generator) single(as string) {
	base := pick(g, "scratch", "scratch", "scratch", "scratch", "scratch", "acme/envs", "acme/onbuild", "ext/envs", "ext/onbuild", pick(g, "acme/tool", "ext/tool"))
	if g.platforms && strings.HasSuffix(base, "/tool") {
		base = "scratch"
	}
	if as != "" {
		as = " AS " + as
	}
	g.add("FROM %s%s", base, as)
	g.instructions(base)
}

// byArgument chooses a stage by a build argument.
func (g *generator) byArgument() {
	if g.oneIn(2) {
		g.c.args["WHICH"] = pick(g, "one", "two")
	}
	g.add("ARG WHICH=one")
	g.single("stage-one")
	g.single("stage-two")
	g.add("FROM stage-$WHICH")
	if g.oneIn(2) {
		g.copy("COPY ", "conf/main.conf")
	}
}

// byPlatform chooses one by the platform.
func (g *generator) byPlatform() {
	switch g.IntN(4) {
	case 0:
		g.add("FROM scratch AS bin-amd64")
		g.copy("COPY ", "bin/amd64/tool")
		g.add("FROM scratch AS bin-arm64")
		g.copy("COPY ", "bin/arm64/tool")
		g.add("FROM bin-${TARGETARCH}")
	case 1:
		g.add("FROM %s/onarch", pick(g, "acme", "ext"))
	default:
		g.add("FROM scratch")
		name := pick(g, "TARGETARCH", "BUILDARCH", "BUILD\\\nARCH")
		g.add("ARG %s", name)
		g.copy("COPY ", "bin/${"+name+"}/tool")
	}
	g.instructions("scratch")
}

// multiStage takes what one stage has into another.
func (g *generator) multiStage() {
	g.single("parts")
	g.add("FROM scratch")
	if g.oneIn(4) {
		g.c.partial = true
		g.add("COPY --from=parts /d1 /part")
		return
	}
	g.add("COPY --from=parts / /all/")
	g.instructions("scratch")
}

// targetStage has stages after the one that is built, and one that nothing
// uses.
func (g *generator) targetStage() {
	g.c.stage = "wanted"
	g.add("FROM scratch AS unused")
	g.copy("COPY ", "conf")
	g.single("wanted")
	g.add("FROM wanted AS later")
	g.copy("COPY ", ".")
}

// instructions are some that read the context, of which some may run commands.
func (g *generator) instructions(base string) {
	if g.oneIn(5) {
		g.add("WORKDIR /work")
	}
	for range 1 + g.IntN(3) {
		if strings.HasSuffix(base, "/tool") && g.oneIn(2) {
			g.run()
			continue
		}
		g.reading(base)
	}
}

// source is something in the context.
func (g *generator) source() string {
	sources := []string{"src", "src", "conf", ".", "a.txt", "src/a.txt", "src/", "src/in", "./conf/", "/src", "*.txt", "src/*.txt", "src/*", "s*", "src/*/deep", "c*/m*.conf", "[ab].txt", "src/[a-c].*", "src/?.txt", "conf/../src/in", "*"}
	for _, name := range g.c.files.of(link) {
		if inside, ok := strings.CutPrefix("/"+name, "/"+strings.TrimPrefix(g.c.root+"/", "./")); ok {
			sources = append(sources, inside, inside)
			if strings.HasSuffix(inside, "dir") {
				sources = append(sources, inside+"/", inside+"/*")
			}
		}
	}
	return g.wildcards(pick(g, sources...))
}

// wildcards notes that more may be read than what a source matches: where a
// wildcard matches folders and a link is among them, BuildKit asks for what
// the link leads to, and for all beside it.
func (g *generator) wildcards(source string) string {
	if strings.ContainsAny(path.Dir(source), "*?[") && len(g.c.files.of(link)) > 0 {
		g.c.partial = true
	}
	return source
}

// destination is a folder of its own, so that nothing that was copied before is
// lost.
func (g *generator) destination() string {
	g.copies++
	return fmt.Sprintf("%sd%d/", pick(g, "/", "/", "/", "./", "/x/"), g.copies)
}

func (g *generator) copy(instruction string, sources ...string) {
	g.add("%s%s %s", instruction, strings.Join(sources, " "), g.destination())
}

// reading is an instruction that reads the context.
func (g *generator) reading(base string) {
	switch g.IntN(17) {
	default:
		g.copy("COPY ", g.source())
	case 4:
		g.copy("COPY ", g.source(), g.source())
	case 5:
		g.copy("COPY --parents ", g.wildcards(pick(g, "src/**/*.txt", "**/*.txt", "src/in", "./src/./in", "src/*/", "src/a.txt conf", "**/keep", "src/in/**")))
	case 6:
		// The files that it leaves out are read, and not in the image.
		g.c.partial = true
		g.copy(pick(g, "COPY --exclude=*.md ", "COPY --exclude=**/*.txt ", "COPY --exclude=in ", "COPY --parents --exclude=**/c.md "), pick(g, "src", ".", "src/*"))
	case 7:
		g.c.partial = true // modes
		g.copy(pick(g, "COPY --chmod=0750 ", "COPY --chmod=4711 ", "COPY --chmod=u=rwX,go=r ", "ADD --chmod=644 "), g.source())
	case 8:
		g.copy(pick(g, "COPY --link ", "COPY --chown=12:34 ", "COPY --link --chown=5 "), g.source())
	case 9:
		g.copy("ADD ", pick(g, "pack.t*", "*", g.source()))
	case 10:
		g.add("COPY <<EOF <<\"OTHER\" %s\nsrc $HOME %d\nEOF\nconf/main.conf $none\nOTHER", g.destination(), g.IntN(9))
	case 11:
		g.add("ARG SOURCE=src")
		if g.oneIn(2) {
			g.c.args["SOURCE"] = pick(g, "conf", "src/in")
		}
		g.copy("COPY ", pick(g, "$SOURCE", "${SOURCE}", "${SOURCE:-conf}", "${OTHER:-conf}", "${SOURCE%c}c", "./$SOURCE/"))
	case 12:
		g.add("ENV PLACE=src/in")
		g.copy("COPY ", "${PLACE}", "$PLACE/*")
	case 13:
		if strings.HasSuffix(base, "/envs") {
			g.copy("COPY ", pick(g, "$FROM_PARENT", "src/*.${ENDING}", "${FROM_PARENT}/main.conf"))
			return
		}
		g.add("COPY --from=acme/envs /parent %s", g.destination())
	case 14:
		g.add("COPY [%q, %q, %q]", pick(g, "src", "conf", "x y.*", "with?blank", "src/[[]odd]", "-d*", "#h*", "[[]z].txt", "[*]star"), "a.txt", g.destination())
	case 15:
		g.add("COPY a.txt \\\n  # between\n  src/a.txt \\\n  %s", g.destination())
	}
}

// run is a command that copies what it sees of the context.
func (g *generator) run() {
	source := pick(g, "src", "conf", "src/in", "a.txt", "", "l-dir")
	mount := "--mount=type=bind,target=/mnt" + strings.TrimSuffix(",source="+source, ",source=")
	if g.oneIn(4) {
		mount = "--mount=type=bind,from=acme/envs,source=/parent,target=/mnt"
	}
	to := strings.TrimPrefix(strings.TrimSuffix(g.destination(), "/"), ".")
	command := fmt.Sprintf("/bin/busybox mkdir -p %s && /bin/busybox cp -a /mnt %s/", to, to)
	switch g.IntN(4) {
	default:
		g.add("RUN %s %s", mount, command)
	case 1:
		g.add("RUN %s <<EOF\n%s\nEOF", mount, command)
	case 2:
		g.add("RUN %s [\"/bin/busybox\", \"cp\", \"-a\", \"/mnt\", %q]", mount, "/mnt"+fmt.Sprint(g.copies))
	}
}
