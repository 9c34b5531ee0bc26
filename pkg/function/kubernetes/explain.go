package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// explainLines is how much of a log an error shows, and explainEvents how many
// events.
const (
	explainLines  = 40
	explainEvents = 5
)

// explain is a failure with what the cluster says of the Pod and the end of the
// container's log, also when ctx has ended.
func (d *Deployer) explain(ctx context.Context, f *function.Function, failed failure) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	err := fmt.Errorf("the function %s does not serve: %s", f.Name, failed)
	if failed.pod == "" {
		return err
	}
	if encoded, eventErr := d.Cluster.Events(ctx, f.Namespace, failed.pod); eventErr != nil {
		err = fmt.Errorf("%w (and its events cannot be read: %w)", err, eventErr)
	} else if lines, eventErr := warnings(encoded); eventErr != nil {
		err = fmt.Errorf("%w (and its events cannot be read: %w)", err, eventErr)
	} else {
		err = with(err, lines)
	}
	if !failed.printed {
		return err
	}
	log, logErr := d.Cluster.Logs(ctx, f.Namespace, failed.pod, failed.container, explainLines)
	if logErr != nil {
		return fmt.Errorf("%w (and its log cannot be read: %w)", err, logErr)
	}
	return with(err, function.LastLines(log, explainLines))
}

// with adds lines to an error.
func with(err error, lines []string) error {
	if len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
}

// warnings are the last events of a List that say what is wrong, each message
// once.
func warnings(encoded []byte) ([]string, error) {
	var list struct {
		Items []struct {
			Type, Reason, Message    string
			LastTimestamp, EventTime *time.Time
		}
	}
	if err := json.Unmarshal(encoded, &list); err != nil {
		return nil, fmt.Errorf("reading the cluster's answer: %w", err)
	}
	moment := func(i int) time.Time {
		item := list.Items[i]
		return *cmp.Or(item.LastTimestamp, item.EventTime, &time.Time{})
	}
	order := make([]int, len(list.Items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return moment(a).Compare(moment(b)) })
	var lines []string
	for _, i := range order {
		line := fmt.Sprintf("event %s: %s", list.Items[i].Reason, function.Shorten(strings.TrimSpace(list.Items[i].Message), 500))
		if list.Items[i].Type == "Warning" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-explainEvents):], nil
}
