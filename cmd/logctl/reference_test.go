package main

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"quorumlog/cmd/logctl/internal/declare"
	"quorumlog/cmd/logctl/internal/recordio"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

const referencePage = "../../docs/logctl-reference.md"

// With UPDATE_DOCS set, as "make docs" does, the page is written instead of compared.
func TestDocsAreCurrentReference(t *testing.T) {
	want := reference(t)
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(referencePage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/logctl-reference.md does not say what the commands say; run make docs")
	}
}

// reference is the help of all commands on one page.
func reference(t *testing.T) []byte {
	t.Helper()
	root := newRoot(&app{})
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	var page bytes.Buffer
	page.WriteString("# logctl: reference\n\nGenerated from the commands; do not edit. What belongs together is told in [logctl](logctl.md).\n\n")
	fmt.Fprintf(&page, "Every command takes these too:\n\n```\n%s```\n\n", root.PersistentFlags().FlagUsages())
	eachCommand(root, func(c *cobra.Command) {
		if !c.HasParent() {
			return
		}
		if c.Long != "" {
			c.Long = "```text\n" + c.Long + "\n```"
		}
		var text bytes.Buffer
		if err := doc.GenMarkdown(c, &text); err != nil {
			t.Fatal(err)
		}
		own := text.String()
		for _, shared := range []string{"### Options inherited from parent commands", "### SEE ALSO"} {
			own, _, _ = strings.Cut(own, shared)
		}
		own = strings.ReplaceAll(own, "### Synopsis\n\n", "")
		page.WriteString(strings.TrimSpace(own) + "\n\n")
	})
	return append(bytes.TrimSpace(page.Bytes()), '\n')
}

// eachCommand visits all commands, those above before those below.
func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, child := range c.Commands() {
		eachCommand(child, do)
	}
}

// documented are the results that commands write as JSON.
var documented = []any{
	createdTopic{}, listedTopic{}, describedTopic{}, alteredTopic{}, deletedTopic{}, grownTopic{}, trimmedPartition{},
	writtenPartition{}, recordio.Record{}, listedGroup{}, describedGroup{}, groupMember{}, groupLag{}, resetPartition{}, deletedGroup{},
	describedSetting{}, alteredSetting{}, settingDifference{}, declare.Change{}, mirrorResult{}, benchResult{}, diagnosis{},
	listedTransaction{}, describedTransaction{}, hangingTransaction{}, abortedTransaction{},
	clusterInfo{}, clusterHealth{}, clusterMember{}, joinedBroker{}, removedBroker{},
	listedPartition{}, plannedMove{}, runningMove{}, electedLeader{}, localStatus{}, stoppedNode{},
	dumpedBatch{}, verifiedPartition{}, repairedPartition{}, versionInfo{},
}

func TestEveryFieldOfTheJSONIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/logctl.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var visit func(x reflect.Type)
	visit = func(x reflect.Type) {
		for x.Kind() == reflect.Pointer || x.Kind() == reflect.Slice || x.Kind() == reflect.Map {
			x = x.Elem()
		}
		if x.Kind() != reflect.Struct || seen[x] {
			return
		}
		seen[x] = true
		for f := range x.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" && !bytes.Contains(page, []byte("`"+name+"`")) {
				t.Errorf("docs/logctl.md does not tell of %q in the JSON of %s", name, x)
			}
			visit(f.Type)
		}
	}
	for _, v := range documented {
		visit(reflect.TypeOf(v))
	}
}
