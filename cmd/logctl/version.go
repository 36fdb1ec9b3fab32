package main

import (
	"cmp"
	"regexp"
	"runtime"
	"runtime/debug"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

// versionInfo is the JSON of "version".
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"` // built from files that differ from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of logctl",
		Example: "  logctl version\n  logctl version -o json",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.print(v, render.Fields{
				{Name: "version", Value: v.Version},
				{Name: "revision", Value: revisionText(v)},
				{Name: "go", Value: v.Go},
				{Name: "platform", Value: v.Platform},
			})
		},
	}
}

func revisionText(v versionInfo) string {
	switch {
	case v.Revision == "":
		return "unknown"
	case v.Modified:
		return v.Revision + ", modified"
	}
	return v.Revision
}

// release is set by the linker for a release.
var release string

func buildVersion() versionInfo {
	v := versionInfo{Version: cmp.Or(release, "unknown"), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(release, info.Main.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// notVersion is what a broker does not take in a client's version (KIP-511).
var notVersion = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

func softwareVersion() string {
	v := notVersion.ReplaceAllString(buildVersion().Version, "-")
	if v == "" || v[0] == '-' || v[len(v)-1] == '-' {
		return "dev"
	}
	return v
}
