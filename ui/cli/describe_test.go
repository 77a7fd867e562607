package cli

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailcote/queue"
	"mailcote/ui/cli/answer"
)

// ours are the types whose keys the seed of this project chose: they are
// camelCase, and a key without a value may be missing.
func ours() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[queue.Payload](), reflect.TypeFor[queue.Checkpoint](),
		reflect.TypeFor[queue.Failure]()}
}

// Object describes one type of object.
type Object struct {
	Type string // the value of its key "type", or more with | between; "" for one of ours
	Keys []objectKey
	of   reflect.Type
}

type objectKey struct {
	name  string
	kind  string // string, integer, number, boolean, time, object, list or any
	of    *Object
	null  bool // it may be null
	maybe bool // it may be missing
	says  string
}

// describer derives the descriptions of objects from their Go types and from
// the comments of their fields.
type describer struct{ comments map[string]map[string]string } // by type and field

func (d describer) object(t reflect.Type) (*Object, error) {
	o := &Object{of: t}
	if err := d.fields(o, t); err != nil {
		return nil, err
	}
	seed := slices.Contains(ours(), t)
	for _, k := range o.Keys {
		switch {
		case !seed && !regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(k.name):
			return nil, fmt.Errorf("%v: the key %q is not snake_case", t, k.name)
		case !seed && k.maybe:
			return nil, fmt.Errorf("%v: the key %q may be missing: take omitempty away, and an answer.Text, "+
				"answer.Time or a pointer for what may be unknown", t, k.name)
		case k.name == "type":
			if regexp.MustCompile(`^(always )?"[a-z_]+"( or "[a-z_]+")*$`).MatchString(k.says) {
				o.Type = strings.Trim(strings.ReplaceAll(strings.TrimPrefix(k.says, "always "), `" or "`, "|"), `"`)
			}
		case k.says == "" && !seed:
			return nil, fmt.Errorf("%v: the field of %q has no comment that says what it is", t, k.name)
		}
	}
	if o.Type == "" && !seed {
		return nil, fmt.Errorf(`%v: it has no first field Type string with json:"type" and the comment: always "…"`, t)
	}
	return o, nil
}

func (d describer) fields(o *Object, t reflect.Type) error {
	says, err := d.of(t)
	if err != nil {
		return err
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			if err := d.fields(o, f.Type); err != nil {
				return err
			}
			continue
		}
		if !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			return fmt.Errorf("%v: %s has no tag with its key", t, f.Name)
		}
		k := objectKey{name: name, maybe: options != "", says: says[f.Name]}
		if err := d.kind(&k, f.Type); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		o.Keys = append(o.Keys, k)
	}
	return nil
}

func (d describer) kind(k *objectKey, t reflect.Type) (err error) {
	switch {
	case t == reflect.TypeFor[answer.Time]():
		k.kind, k.null = "time", true
		return nil
	case t == reflect.TypeFor[time.Time]():
		k.kind = "time"
		return nil
	case t == reflect.TypeFor[answer.Text]():
		k.kind, k.null = "string", true
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		k.null = true
		return d.kind(k, t.Elem())
	case reflect.String:
		k.kind = "string"
	case reflect.Bool:
		k.kind = "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Int32, reflect.Uint64:
		k.kind = "integer"
	case reflect.Float64:
		if k.kind = "number"; t != reflect.TypeFor[answer.Number]() && !k.maybe {
			return fmt.Errorf("%q is a float64: an answer.Number is rounded", k.name)
		}
	case reflect.Struct:
		k.kind = "object"
		k.of, err = d.object(t)
	case reflect.Slice, reflect.Array:
		one := *k
		if err = d.kind(&one, t.Elem()); err == nil {
			k.kind, k.of = "list", one.of
			if k.of == nil || one.kind == "list" {
				k.of = &Object{Keys: []objectKey{one}}
			}
		}
	default:
		err = fmt.Errorf("%q: no JSON is known for %v", k.name, t)
	}
	return err
}

// of gives the comments of a type's fields, from its source.
func (d describer) of(t reflect.Type) (map[string]string, error) {
	dir, found := strings.CutPrefix(t.PkgPath(), "mailcote/")
	if !found {
		return nil, fmt.Errorf("%v is not ours", t)
	}
	if says, known := d.comments[t.PkgPath()+"."+t.Name()]; known {
		return says, nil
	}
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				says := map[string]string{}
				for _, f := range s.Fields.List {
					text := f.Comment.Text()
					if text == "" {
						text = f.Doc.Text()
					}
					for _, name := range f.Names {
						says[name.Name] = strings.Join(strings.Fields(text), " ")
					}
				}
				d.comments[t.PkgPath()+"."+spec.Name.Name] = says
			}
			return true
		})
	}
	says, known := d.comments[t.PkgPath()+"."+t.Name()]
	if !known {
		return nil, fmt.Errorf("the source of %v was not found", t)
	}
	return says, nil
}

// is reports whether a type is that of the object.
func (o *Object) is(kind string) bool { return slices.Contains(strings.Split(o.Type, "|"), kind) }

// check compares a decoded value with the description of its object.
func (o *Object) check(v any) error {
	have, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%v is no object", v)
	}
	if kind, _ := have["type"].(string); o.Type != "" && !o.is(kind) {
		return fmt.Errorf("the type is %v, want %s", have["type"], o.Type)
	}
	seen := 0
	for _, k := range o.Keys {
		value, there := have[k.name]
		switch {
		case !there && k.maybe:
			continue
		case !there:
			return fmt.Errorf("%s: the key %q is missing", o.Type, k.name)
		}
		seen++
		if err := k.check(value); err != nil {
			return fmt.Errorf("%s: %s: %w", o.Type, k.name, err)
		}
	}
	if seen < len(have) {
		for name := range have {
			if !slices.ContainsFunc(o.Keys, func(k objectKey) bool { return k.name == name }) {
				return fmt.Errorf("%s: the key %q is not described", o.Type, name)
			}
		}
	}
	return nil
}

func (k objectKey) check(v any) error {
	if v == nil && k.null {
		return nil
	}
	bad := fmt.Errorf("%v is no %s", v, k.kind)
	switch k.kind {
	case "string":
		if s, ok := v.(string); !ok || s == "" && k.null {
			return bad
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return bad
		}
	case "integer":
		if n, ok := v.(json.Number); !ok || strings.ContainsAny(n.String(), ".eE") {
			return bad
		}
	case "number":
		if n, ok := v.(json.Number); !ok || !regexp.MustCompile(`^-?[0-9]+(\.[0-9]{1,3})?$`).MatchString(n.String()) {
			return bad
		}
	case "time":
		s, ok := v.(string)
		if at, err := time.Parse(time.RFC3339, s); !ok || err != nil || at.Year() < 2 || !strings.HasSuffix(s, "Z") {
			return bad
		}
	case "object":
		return k.of.check(v)
	case "list":
		all, ok := v.([]any)
		if !ok {
			return bad
		}
		for _, one := range all {
			if k.of.of == nil { // a list of plain values
				if err := k.of.Keys[0].check(one); err != nil {
					return err
				}
			} else if err := k.of.check(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// decode reads one line, and nothing after its value.
func decode(line string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}
