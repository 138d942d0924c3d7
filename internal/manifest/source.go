// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"maps"
)

// Source is a ConfigMap or Secret.
type Source struct {
	Kind, Namespace, Name string
	Labels                map[string]string
	// Data are data and binaryData, or data and stringData, decoded.
	Data  map[string][]byte
	Place Place
}

// sourceObject is as much of both kinds as counts.
type sourceObject struct {
	Metadata struct {
		Namespace string            `json:"namespace"`
		Name      string            `json:"name"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Data       map[string]json.RawMessage `json:"data"`
	BinaryData map[string][]byte          `json:"binaryData"`
	StringData map[string]string          `json:"stringData"`
}

func (s *Set) addSourceObject(obj object, kind string, o Options) {
	var from sourceObject
	if err := json.Unmarshal(obj.json, &from); err != nil {
		s.problem(obj.problem("", "not a "+kind+": "+err.Error()))
		return
	}
	source := Source{
		Kind: kind, Namespace: from.Metadata.Namespace, Name: from.Metadata.Name, Labels: from.Metadata.Labels,
		Data: map[string][]byte{}, Place: obj.place,
	}
	if source.Namespace == "" {
		source.Namespace = o.Namespace
	}
	for key, raw := range from.Data {
		value, err := sourceData(kind, raw)
		if err != nil {
			s.problem(obj.problem("data."+key, err.Error()))
			return
		}
		source.Data[key] = value
	}
	maps.Copy(source.Data, from.BinaryData)
	for key, value := range from.StringData {
		source.Data[key] = []byte(value)
	}
	s.Sources = append(s.Sources, source)
}

// sourceData is one element of data: a string in ConfigMaps, base64 in Secrets.
func sourceData(kind string, raw json.RawMessage) ([]byte, error) {
	if kind == "Secret" {
		var b []byte
		err := json.Unmarshal(raw, &b)
		return b, err
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return []byte(text), err
}
