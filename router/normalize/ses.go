package normalize

// Amazon SES hands each mail it receives to Lambda.

func (in *input) sesRecord(r value) error {
	mail := r.get("ses", "mail")
	return in.emit(draft{
		typ:         "aws.ses.mail-received",
		source:      joined("/", "aws.ses", mail.get("destination").first().str()),
		subject:     mail.str("commonHeaders", "subject"),
		id:          mail.str("messageId"),
		same:        true,
		time:        moment(mail.str("timestamp")),
		correlation: mail.str("commonHeaders", "messageId"),
		data:        r.raw(),
	})
}
