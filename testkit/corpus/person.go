package corpus

import (
	"fmt"
	"mime"
	"strings"
)

type person struct{ name, mail, domain string }

// newPeople gives 400 people who do not exist, at domains that cannot (RFC 2606).
func newPeople() []person {
	first := strings.Fields("Anna Björn Chloé Dmitri Elif Farah Günter Hana Iker Jürgen Kaori Lars Mónica Nils Olga " +
		"Paweł Renée Søren Thandi Zoë")
	last := strings.Fields("Abel Brandt Castellà Dvořák Eriksson Fröhlich Gómez Hofer Ibsen Janssen Kowalski " +
		"Lindqvist Müller Novák O'Hara Petrov Quist Rossi Sørby Tanaka")
	domains := []string{"alpha.example", "beta.example", "gamma.example", "list.delta.example"}
	var people []person
	for i, f := range first {
		for j, l := range last {
			domain := domains[(i+j)%len(domains)]
			people = append(people, person{name: f + " " + l, mail: fmt.Sprintf("user%d.%d@%s", i, j, domain),
				domain: domain})
		}
	}
	return people
}

func (p person) address() string {
	name := `"` + p.name + `"`
	if !ascii(p.name) {
		name = mime.QEncoding.Encode("utf-8", p.name)
	}
	return name + " <" + p.mail + ">"
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
