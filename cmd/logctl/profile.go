package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// configFile is ~/.config/logctl/config.yaml.
type configFile struct {
	Default  string             `yaml:"default"` // the profile that is used when none is named
	Profiles map[string]profile `yaml:"profiles"`
}

// profile is a set of flags under a name.
type profile struct {
	Bootstrap addressList `yaml:"bootstrap"`
	Output    string      `yaml:"output"`
}

// addressList is a list, or one string with commas.
type addressList []string

// UnmarshalYAML reads either form.
func (l *addressList) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = strings.Split(n.Value, ",")
		return nil
	}
	return n.Decode((*[]string)(l))
}

func (a *app) configPath() string {
	dir := a.env("XDG_CONFIG_HOME")
	if dir == "" {
		dir = filepath.Join(a.env("HOME"), ".config")
	}
	return filepath.Join(dir, "logctl", "config.yaml")
}

// loadProfile reads the profile that was asked for, or the default one, or an empty one where
// there is no file.
func (a *app) loadProfile() (profile, error) {
	path := a.configPath()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && a.profile == "" {
		return profile{}, nil
	}
	if err != nil {
		return profile{}, usage("cannot read the profiles: %v", err)
	}
	var file configFile
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return profile{}, usage("%s is not understood: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	name := a.profile
	if name == "" {
		name = file.Default
	}
	p, ok := file.Profiles[name]
	if !ok && name != "" {
		names := slices.Sorted(maps.Keys(file.Profiles))
		return p, usage("%s has no profile %q%s", path, name, didYouMean(name, names))
	}
	return p, nil
}
