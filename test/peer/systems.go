//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"quorumlog/test/internal/nodes"
)

// system is one of those that are compared.
type system interface {
	name() string
	// prepare makes what nodes need, and starts none.
	prepare(ctx context.Context, n int) (*nodes.Cluster, error)
	// start starts a cluster and waits until it has all its nodes.
	start(ctx context.Context, n int) (*nodes.Cluster, error)
}

// ours is quorumlog as it comes.
type ours struct{ brokerd, dir string }

func (ours) name() string { return "quorumlog" }

func (o ours) prepare(_ context.Context, n int) (*nodes.Cluster, error) {
	return nodes.PrepareBrokerd(o.brokerd, o.dir, n)
}

func (o ours) start(ctx context.Context, n int) (*nodes.Cluster, error) {
	return nodes.Brokerd(ctx, o.brokerd, o.dir, n)
}

// kafka is Apache Kafka as its start script runs it, with the settings of its server.properties.
type kafka struct{ jars, dir string }

func (kafka) name() string { return "Apache Kafka " + kafkaVersion }

// kafkaVersion is that of the pom beside the tests with other clients.
const kafkaVersion = "4.3.1"

const pom = "test/clients/java/pom.xml"

// fetchKafka has mvn put the jars where they are looked for.
func fetchKafka(ctx context.Context, jars string) error {
	done := filepath.Join(jars, ".complete-"+kafkaVersion)
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "fetching Apache Kafka into", jars)
	abs, err := filepath.Abs(jars)
	if err != nil {
		return err
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+abs)
	mvn.Stdout, mvn.Stderr = os.Stderr, os.Stderr
	if err := mvn.Run(); err != nil {
		return fmt.Errorf("mvn (java and maven are needed): %w", err)
	}
	return os.WriteFile(done, nil, 0o644)
}

func (k kafka) java(class string, options ...string) []string {
	return append(append([]string{"java"}, options...), "-cp", filepath.Join(k.jars, "*"), "-Dlog4j2.configurationFile=test/clients/java/log4j2.properties", class)
}

func (k kafka) prepare(ctx context.Context, n int) (*nodes.Cluster, error) {
	c, ports, err := nodes.New(k.dir, n)
	if err != nil {
		return nil, err
	}
	var voters []string
	for i, p := range ports {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, p))
	}
	replicas, inSync := min(n, 3), min(n, 2)
	for i := range n {
		properties := filepath.Join(c.Dir, fmt.Sprint("node-", i+1, ".properties"))
		text := strings.Join([]string{
			"process.roles=broker,controller",
			fmt.Sprint("node.id=", i+1),
			"controller.quorum.voters=" + strings.Join(voters, ","),
			fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", c.Addrs[i], ports[i]),
			"advertised.listeners=PLAINTEXT://" + c.Addrs[i],
			"controller.listener.names=CONTROLLER",
			"inter.broker.listener.name=PLAINTEXT",
			"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
			"log.dirs=" + filepath.Join(c.Dir, fmt.Sprint("node-", i+1)),
			fmt.Sprint("offsets.topic.replication.factor=", replicas),
			fmt.Sprint("transaction.state.log.replication.factor=", replicas),
			fmt.Sprint("transaction.state.log.min.isr=", inSync),
			fmt.Sprint("min.insync.replicas=", inSync),
			"",
		}, "\n")
		if err := os.WriteFile(properties, []byte(text), 0o644); err != nil {
			return nil, err
		}
		format := append(k.java("kafka.tools.StorageTool", "-Xmx256m"), "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", properties)
		if out, err := exec.CommandContext(ctx, format[0], format[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("format: %w: %s", err, out)
		}
		c.Argv = append(c.Argv, append(k.java("kafka.Kafka",
			"-Xmx1g", "-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
			"-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"), properties))
	}
	return c, nil
}

func (k kafka) start(ctx context.Context, n int) (*nodes.Cluster, error) {
	c, err := k.prepare(ctx, n)
	if err != nil {
		return nil, err
	}
	return c.LaunchAll(ctx)
}
