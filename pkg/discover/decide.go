package discover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// decide turns claims into targets, leaving out the Dockerfiles that several
// repositories claim and the images that several Dockerfiles claim.
func (m *matcher) decide() {
	m.rejectSharedDockerfiles()
	m.rejectSharedImages()
	for _, c := range m.claims {
		if !m.isUndecided[c.usage] {
			m.addTo(c)
		}
	}
	for _, t := range m.targets {
		sortVersions(t.Tags)
	}
}

// rejectSharedDockerfiles finds Dockerfiles that versions of different
// repositories claim by their names alone.
func (m *matcher) rejectSharedDockerfiles() {
	byDockerfile := map[string][]claim{}
	for _, c := range m.claims {
		if !c.explicit {
			byDockerfile[c.dockerfile] = append(byDockerfile[c.dockerfile], c)
		}
	}
	for _, dockerfile := range slices.Sorted(maps.Keys(byDockerfile)) {
		claims := byDockerfile[dockerfile]
		var repositories, by []string
		for _, c := range claims {
			if !slices.ContainsFunc(repositories, func(known string) bool { return known == c.usage.Ref.Name }) {
				repositories = append(repositories, c.usage.Ref.Name)
				by = append(by, c.usage.Ref.Name+" for "+c.usage.Runtime+" "+c.usage.Version)
			}
		}
		if len(repositories) < 2 {
			continue
		}
		for _, c := range claims {
			m.reject(c.usage, dockerfile, repositories, "could make "+strings.Join(by, " or "))
		}
	}
}

// rejectSharedImages finds images that different builds would make.
func (m *matcher) rejectSharedImages() {
	byImage := map[string][]claim{}
	for _, c := range m.claims {
		if !m.isUndecided[c.usage] {
			image := c.usage.Ref.Repository() + ":" + c.usage.tag()
			byImage[image] = append(byImage[image], c)
		}
	}
	for _, image := range slices.Sorted(maps.Keys(byImage)) {
		claims := byImage[image]
		var dockerfiles []string
		for _, c := range claims {
			if !slices.Contains(dockerfiles, c.dockerfile) {
				dockerfiles = append(dockerfiles, c.dockerfile)
			}
		}
		same := !slices.ContainsFunc(claims, func(c claim) bool { return !sameBuild(c, claims[0]) })
		if same {
			continue
		}
		reason := fmt.Sprintf("%s:%s would be made in different ways", claims[0].usage.Ref.Name, claims[0].usage.tag())
		for _, c := range claims {
			m.reject(c.usage, dockerfiles[0], dockerfiles, reason)
		}
	}
}

// sameBuild tells whether two claims run the same build.
func sameBuild(a, b claim) bool {
	return a.dockerfile == b.dockerfile && a.context == b.context && a.stage == b.stage && maps.Equal(a.args, b.args)
}

// addTo adds a claim's image to the target that runs its build, or makes one.
func (m *matcher) addTo(c claim) {
	for _, t := range m.targets {
		existing := claim{dockerfile: t.Dockerfile, context: t.Context, stage: t.Stage, args: t.Args}
		if t.Repository.Repository() == c.usage.Ref.Repository() && sameBuild(existing, c) {
			if !slices.Contains(t.Tags, c.usage.tag()) {
				t.Tags = append(t.Tags, c.usage.tag())
			}
			return
		}
	}
	repository := c.usage.Ref.WithTag("")
	m.targets = append(m.targets, &Target{
		Repository: repository,
		Tags:       []string{c.usage.tag()},
		Context:    c.context,
		Dockerfile: c.dockerfile,
		Kind:       c.kind,
		Args:       c.args,
		Stage:      c.stage,
	})
}
