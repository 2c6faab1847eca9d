// Runs the Go snippet: reads rounds on stdin, writes verdicts as JSON.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"
)

func main() {
	var rounds [][2]json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&rounds); err != nil {
		panic(err)
	}
	verdicts := []*string{}
	for _, round := range rounds {
		var lapse int
		var values []string
		if json.Unmarshal(round[0], &lapse) != nil || json.Unmarshal(round[1], &values) != nil {
			panic("a round is [seconds, values]")
		}
		fetched = fetched.Add(-time.Duration(lapse) * time.Second)
		request := &http.Request{Header: http.Header{"X-Forwarded-Identity": values}}
		if claims, err := Identity(request); err == nil {
			verdicts = append(verdicts, &claims.Subject)
		} else {
			verdicts = append(verdicts, nil)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}
